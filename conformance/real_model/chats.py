"""What transformers renders of each chat, and the ids of the rendering."""

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from prompts import CHATS


class ChatText:
    """The folder's template by transformers, and ids by `tokenizers` from its tokenizer.json.

    (transformers 5's own class for it, GPT2Tokenizer, puts a pre-tokenizer of its own in the place of the file's, and
    gives other ids for digits.)
    """

    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.templates = AutoTokenizer.from_pretrained(folder)

    def render(self, messages, **args):
        return self.templates.apply_chat_template(messages, tokenize=False, **args)

    def parse(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def plain(self, text):
        """Added tokens in it are characters."""
        self.tokenizer.encode_special_tokens = True
        try:
            return self.parse(text)
        finally:
            self.tokenizer.encode_special_tokens = False

    def chat(self, messages, **args):
        """The rendering and its ids, in which the template's own control tokens alone are control tokens."""
        args = {"add_generation_prompt": True, **args}
        rendered = self.render(messages, **args)
        ids, again = [], ""
        for part in self.parts(messages):
            ids += [*self.parse("<|im_start|>"), *self.plain(part), *self.parse("<|im_end|>"), *self.plain("\n")]
            again += f"<|im_start|>{part}<|im_end|>\n"
        if args["add_generation_prompt"]:
            ids += self.parse("<|im_start|>assistant\n")
            again += "<|im_start|>assistant\n"
        assert again == rendered, (again, rendered)
        if not any(token in content for content in self.parts(messages) for token in self.specials()):
            assert ids == self.parse(rendered), rendered
        return rendered, ids

    def parts(self, messages):
        """What the template puts between `<|im_start|>` and `<|im_end|>`."""
        if messages[0]["role"] != "system":
            yield "system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        for message in messages:
            yield f"{message['role']}\n{message['content']}"

    def specials(self):
        return [token.content for token in self.tokenizer.get_added_tokens_decoder().values()]


def make_chats(text):
    records = []
    for messages, args in CHATS:
        rendered, ids = text.chat(messages, **args)
        records.append({"messages": messages, "args": args, "rendered": rendered, "ids": ids})
    return records


def prompt_ids(text, prompt):
    return text.plain(prompt) if isinstance(prompt, str) else text.chat(prompt)[1]
