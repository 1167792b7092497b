"""The closed vocabulary of composed scenes: every word and mark of their questions, answers and captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamis.vision import clips, questions, sprites

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>")
"""Tokens 0 … 4."""
VIDEO = "<video>"
"""The placeholder of videos."""


def vocabulary(*, video: bool = False) -> list[str]:
    """List all tokens: the special ones, then the words and marks of both kinds of scenes in alphabetical order.

    Args:
        video: Whether the placeholder of videos and the words of motion follow, for a model that is shown clips.

    >>> vocabulary()[:6]
    ['<pad>', '<s>', '</s>', '<unk>', '<image>', '?']
    """
    words = [*SPECIAL, *sorted(questions.spoken() | sprites.spoken())]
    return [*words, VIDEO, *sorted(clips.spoken())] if video else words


def tokenizer(*, video: bool = False) -> PreTrainedTokenizerFast:
    """Make a tokenizer of that vocabulary: a token is a word or a question mark, and `<s>` is put before a text.

    Capitals are as good as small letters. A string of digits or a name that is not in it becomes `<unk>`.

    Args:
        video: As for `vocabulary`.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Sequence, Split, WhitespaceSplit
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({word: index for index, word in enumerate(vocabulary(video=video))}, unk_token="<unk>"))
    words.normalizer = Lowercase()
    words.pre_tokenizer = Sequence([WhitespaceSplit(), Split("?", "isolated")])
    words.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", SPECIAL.index("<s>"))])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<image>", VIDEO] if video else ["<image>"],
    )
