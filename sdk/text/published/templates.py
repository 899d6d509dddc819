"""Chat templates that use what published ones use, each in the manner of a family, and random chats for them."""

import random

from texts import text

TEMPLATES = {
    # Turns alternate, there is no system role, contents are trimmed.
    "gemma": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}
{%- if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}
{{- '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}""",
    # A date, tools in the system or in the first user turn, one call a turn, results as JSON.
    "llama31": """{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user_message is defined %}{%- set tools_in_user_message = true %}{%- endif %}
{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\n\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\n\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content'] | trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("No first user message!") }}
    {%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\n\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>" }}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls | length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
        {%- if builtin_tools is defined and tool_call.name in builtin_tools %}
            {{- "<|python_tag|>" + tool_call.name + ".call(" }}
            {%- for arg_name, arg_val in tool_call.arguments | items %}
                {{- arg_name + '="' ~ arg_val ~ '"' }}
                {%- if not loop.last %}{{- ", " }}{%- endif %}
            {%- endfor %}
            {{- ")" }}
        {%- else %}
            {{- '{"name": "' + tool_call.name + '", ' }}
            {{- '"parameters": ' }}
            {{- tool_call.arguments | tojson }}
            {{- "}" }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}""",
    # Filters over the messages, a counter in a namespace, ids that must have a length.
    "mistral": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS][" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST]" + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST]" + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS][" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- message["content"] + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS]{"content": ' + content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id|default('none') + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported!") }}
    {%- endif %}
{%- endfor %}""",
    # Macros that call themselves, mappings walked through, defaults, set blocks.
    "macros": """{%- macro kind(spec) -%}
    {%- if spec is mapping -%}
        {%- if spec.type is string -%}{{ spec.type }}{%- elif spec.type is iterable -%}{{ spec.type | join(' | ') }}{%- else -%}any{%- endif -%}
        {%- if spec.enum is defined -%}({{ spec.enum | map('string') | join(', ') }}){%- endif -%}
        {%- if 'items' in spec -%}[{{ kind(spec['items']) }}]{%- endif -%}
        {%- if spec.properties is defined -%}{ {%- for name, inner in spec.properties.items() -%}{{ name }}{{ '' if name in spec.get('required', []) else '?' }}: {{ kind(inner) }}{%- if not loop.last -%}, {% endif -%}{%- endfor -%} }{%- endif -%}
    {%- else -%}{{ spec | tojson }}{%- endif -%}
{%- endmacro -%}
{%- macro turn(role, content='', end=true) -%}
<|im_start|>{{ role | lower | capitalize }}
{{ content | trim | replace('\\r\\n', '\\n') }}{% if end %}<|im_end|>{% endif %}

{% endmacro -%}
{%- set head -%}
Functions: {{ (tools or []) | length }}
{%- for tool in tools or [] %}
- {{ tool.function.name | default('?', true) }}: {{ kind(tool.function.parameters) if tool.function.parameters is defined else 'none' }}
{%- endfor -%}
{%- endset -%}
{{ turn('SYSTEM', head) }}
{%- for message in messages -%}
    {%- set number = loop.index ~ '/' ~ loop.length -%}
    {%- if loop.previtem is defined and loop.previtem.role == message.role -%}{{ '(again) ' }}{%- endif -%}
    {{ turn(message.role, '[' + number + '] ' + (message.content if message.content is string else ''), not loop.last or message.role != 'assistant') }}
    {%- for call in message.tool_calls or [] -%}
        {{ loop.cycle('*', '+') }} {{ call.function.name }}({% for k, v in call.function.arguments.items() %}{{ k }}={{ v if v is number else (v | tojson) }}{{ ', ' if not loop.last }}{% endfor %})
{% endfor -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ turn('ASSISTANT', end=false) }}{% endif -%}""",
    # What counts as generated is marked; what is marked is rendered as it is.
    "generation": """{% for message in messages %}
{%- if message.role == 'assistant' %}
<|im_start|>assistant
{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}

{%- else %}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{%- endif %}
{% endfor %}
{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}""",
    # Arithmetic, slices, tests, comparisons, string methods and filters in one place.
    "everything": """{%- set ns = namespace(total=0, names=[], seen='') -%}
{%- for m in messages -%}
    {%- set c = m.content if m.content is string else '' -%}
    {%- set ns.total = ns.total + c | length -%}
    {%- set ns.names = ns.names + [m.role] -%}
    {%- if loop.index is odd and not c.startswith(' ') and '\\n' not in c -%}
        {%- set ns.seen = ns.seen ~ c[:3] ~ c[-3:] ~ c[::-1][:2] -%}
    {%- elif loop.index % 2 == 0 or c.endswith('!') -%}
        {%- set ns.seen = ns.seen ~ c.upper()[1:4] ~ c.lower()[-2:] ~ c.title()[:2] -%}
    {%- endif -%}
    {%- if ns.total > 400 -%}{%- break -%}{%- endif -%}
    {%- if c == '' -%}{%- continue -%}{%- endif -%}
    {{ loop.index0 }}:{{ loop.revindex }}:{{ m['role'][0] }}:{{ c.split() | length }}:{{ c.split('\\n')[-1] | tojson }}:{{ c.strip('.! ') }}:{{ c.replace('a', 'aa', 1) }};
{%- endfor %}
{{ ns.names | unique | sort | join('+') }} {{ ns.names | map('upper') | first }} {{ ns.names[-1] | last }} {{ ns.total // 7 }} {{ ns.total % 7 }} {{ ns.total * 2 - 1 }} {{ (ns.total / 2) | int }} {{ -3 + 2 }} {{ 2 ** 3 }}
{{ ns.seen }} {{ true and not false }} {{ none }} {{ [1, 'a', none, true, 1.5] }} {{ {'a': [1, {'b': 'c'}]} }} {{ {'a': 1, 'b': 'x'} | tojson }} {{ 1 < 2 }} {{ 2 >= 3 }} {{ "a" < "b" }}
{{ messages | map(attribute='role') | list }} {{ (messages | selectattr('role', 'in', ['user', 'tool']) | list) | length }} {{ messages | rejectattr('content') | list | length }}
{{ 'a,b,,c'.split(',') }} {{ 'x' * 3 }} {{ ['b', 'a'] | sort }} {{ range(3) | list }} {{ range(5, 1, -2) | list | join }} {{ 'abc' | length }} {{ [3, 1, 2] | max }} {{ [3, 1] | min }} {{ [1, 2] | sum }}
{{ undefined_thing | default('gone') }} {{ undefined_thing is undefined }} {{ (undefined_thing or 'else') }} {{ 'a b' | replace(' ', '_') }} {{ '  x ' | trim }}|{{ 'one\ntwo' | indent(2) }}|{{ 'One' | lower }}{{ 'z' if undefined_thing }}|{{ 'q' in ['q'] }} {{ 'k' in {'k': 1} }} {{ 3 is number }} {{ 'abc' is string }} {{ [] is iterable }} {{ {} is mapping }} {{ none is none }} {{ 3 in [1, 2] }} {{ 'y' is not defined }}
{%- if add_generation_prompt %} >{% endif %}""",
}

NAMES = ["get_weather", "f", "Suche", "search_web", "été"]
SCHEMAS = [
    {"type": "object", "properties": {"city": {"type": "string", "description": "Which city <b>&</b> \"where\""}}, "required": ["city"]},
    {"type": "object", "properties": {"n": {"type": ["integer", "null"], "enum": [1, 2, 3]}, "list": {"type": "array", "items": {"type": "number"}}}},
    {"type": "object", "properties": {}},
]


def content(rng: random.Random) -> str:
    made = text(rng, [])
    # U+2581 is a space to Gemma, which has added tokens of it.
    return rng.choice(["", "", "", " ", "\n", "\n\n"]) + made.replace("\u2581", "") + rng.choice(["", "", ".", "!", " ", "\n"])


def value(rng: random.Random, depth: int = 0):
    kinds = [lambda: content(rng), lambda: rng.randint(-5, 10**9), lambda: True, lambda: None, lambda: rng.choice([0.5, -1.25, 1e-7, 3.0e20])]
    if depth < 2:
        kinds += [lambda: [value(rng, depth + 1) for _ in range(rng.randint(0, 3))], lambda: {f"k{i}": value(rng, depth + 1) for i in range(rng.randint(0, 3))}]
    return rng.choice(kinds)()


def tool(rng: random.Random) -> dict:
    function = {"name": rng.choice(NAMES), "description": content(rng), "parameters": rng.choice(SCHEMAS)}
    return {"type": "function", "function": function}


def call(rng: random.Random) -> dict:
    arguments = {name: value(rng) for name in rng.sample(["x", "y", "größe", "n"], rng.randint(0, 3))}
    return {"type": "function", "id": rng.choice(["abcdef123", "abcdef123", "short"]), "function": {"name": rng.choice(NAMES), "arguments": arguments}}


def chat(rng: random.Random) -> dict:
    messages, args = [], {}
    if rng.random() < 0.4:
        messages.append({"role": "system", "content": content(rng)})
    for _ in range(rng.randint(1, 3)):
        messages.append({"role": "user", "content": content(rng)})
        if rng.random() < 0.1:
            messages.append({"role": rng.choice(["user", "developer", "system"]), "content": content(rng)})
        reply = {"role": "assistant", "content": content(rng)}
        thinking = rng.random()
        if thinking < 0.2:
            reply["content"] = "<think>" + rng.choice(["\n", ""]) + content(rng) + "\n</think>\n\n" + reply["content"]
        elif thinking < 0.4:
            reply[rng.choice(["reasoning_content", "thinking", "reasoning"])] = content(rng)
        if rng.random() < 0.25:
            reply["tool_calls"] = [call(rng) for _ in range(rng.choice([1, 1, 2]))]
            messages.append(reply)
            for _ in reply["tool_calls"]:
                messages.append({"role": "tool", "content": content(rng), "tool_call_id": "abcdef123"})
            reply = {"role": "assistant", "content": content(rng)}
        messages.append(reply)
    if rng.random() < 0.5:
        messages.pop()
    args["add_generation_prompt"] = rng.random() < 0.7
    if rng.random() < 0.15:
        args["add_generation_prompt"] = False
        args["continue_final_message"] = rng.choice([True, True, True, "reasoning_content", "thinking"])
    if rng.random() < 0.3:
        args["tools"] = [tool(rng) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.3:
        args["enable_thinking"] = rng.random() < 0.5
    if rng.random() < 0.1:
        args["date_string"] = "01 Jan 2030"
    if rng.random() < 0.1:
        args["builtin_tools"] = ["code_interpreter", "f", "search_web"]
    if rng.random() < 0.1:
        args["tools_in_user_message"] = False
    return {"messages": messages, "args": args}
