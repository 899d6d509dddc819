"""What OpenAI's Python client makes of a server, unmodified: `python clients.py BASE_URL [sync|async]`, plain JSON on stdout."""

import asyncio
import json
import sys

import openai

MESSAGES = [{"role": "user", "content": "Who are you?"}]
GREEDY = {"model": "tiny", "messages": MESSAGES, "temperature": 0, "max_tokens": 12}
RESPONSE = {"model": "tiny", "input": "Who are you?", "temperature": 0, "max_output_tokens": 12}
OPTIONS = {"api_key": "sk-any", "max_retries": 0}


def with_sync(base_url):
    client = openai.OpenAI(base_url=base_url, **OPTIONS)
    plain = client.chat.completions.create(**GREEDY, logprobs=True, top_logprobs=2)
    usage = {"include_usage": True}
    chunks = list(client.chat.completions.create(**GREEDY, stream=True, stream_options=usage))
    with client.chat.completions.stream(**GREEDY) as stream:
        for _ in stream:
            pass
        # The final completion is an error to this client where the length ended it.
        final = stream.current_completion_snapshot
    completion = client.completions.create(model="tiny", prompt="Once", max_tokens=4, temperature=0)
    scored = client.completions.create(
        model="tiny", prompt="Once upon a time", max_tokens=0, echo=True, logprobs=1
    )
    response = client.responses.create(**RESPONSE)
    with client.responses.stream(**RESPONSE) as stream:
        # As above, of a response that is incomplete.
        events = list(stream)
    embedding = client.embeddings.create(model="tiny", input=["a", "b"])
    raw = client.chat.completions.with_raw_response.create(**GREEDY)
    with client.chat.completions.create(**{**GREEDY, "max_tokens": 200}, stream=True) as left:
        for _ in left:
            break
    first, *others = scored.choices[0].logprobs.token_logprobs
    return {
        "text": plain.choices[0].message.content,
        "finish_reason": plain.choices[0].finish_reason,
        "n_logprobs": len(plain.choices[0].logprobs.content),
        "streamed": text_of(chunks),
        "usage": chunks[-1].usage.completion_tokens,
        "helper": final.choices[0].message.content,
        "completion": len(completion.choices[0].text) > 0,
        "scored": first is None and all(one < 0 for one in others),
        "response": response.output_text,
        "response_streamed": events[-1].response.output_text,
        "last_event": events[-1].type,
        "embedding": [len(one.embedding) for one in embedding.data],
        "models": [model.id for model in client.models.list()],
        "cap": raw.headers["x-capstan-cap"],
        "error": error_of(lambda: client.chat.completions.create(**{**GREEDY, "max_tokens": 0})),
        "missing": error_of(lambda: client.models.retrieve("none")),
    }


async def with_async(base_url):
    async with openai.AsyncOpenAI(base_url=base_url, **OPTIONS) as client:
        asked = [client.chat.completions.create(**GREEDY) for _ in range(3)]
        texts = [one.choices[0].message.content for one in await asyncio.gather(*asked)]
        chunks = [chunk async for chunk in await client.chat.completions.create(**GREEDY, stream=True)]
        models = [model.id async for model in client.models.list()]
    return {"texts": texts, "streamed": text_of(chunks), "models": models}


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def error_of(call):
    try:
        call()
    except openai.APIStatusError as error:
        own = {"class": type(error).__name__, "status": error.status_code, "has_id": bool(error.request_id)}
        return {**own, "code": error.code, "type": error.type, "param": error.param}
    return None


if __name__ == "__main__":
    _, url, kind = sys.argv
    print(json.dumps(with_sync(url) if kind == "sync" else asyncio.run(with_async(url))))
