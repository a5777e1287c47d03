"""A tokenizer without a model."""


class Letters:
    """A tokenizer of characters with two marks of its own."""

    all_special_tokens = ("<|im_end|>", "<s>")
    chat_template = "yes"

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return list(map(ord, text))

    def apply_chat_template(self, said: list[dict[str, str]], **_: bool) -> str:
        return "".join(f"<s>{one['role']}:{one['content']}<|im_end|>" for one in said)
