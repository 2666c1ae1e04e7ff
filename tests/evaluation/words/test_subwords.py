"""The tokens of a sentence are those of its text, and each is a sub-word of the word it spells."""

import pytest
from tokenizers import processors

from llm2comp.evaluation.words.subwords import UNREAD, subwords
from tests.evaluation.words.examples import TOKENIZERS
from tests.tiny import tiny_tokenizer

SENTENCE = ["The", "fox", "1996-08-22", "na\u00efve", "\N{GRINNING FACE}", "U.N.", ",", "...", "8", "New York", "dogs"]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_every_token_is_a_sub_word_of_what_it_spells(kind: str):
    tokenizer = TOKENIZERS[kind]()
    text_ids = tokenizer(" ".join(SENTENCE), add_special_tokens=False)["input_ids"]
    (read,) = subwords(tokenizer, [SENTENCE], max_length=200)
    assert read.input_ids == [tokenizer.bos_token_id, *text_ids]
    assert [tokenizer.decode(read.input_ids[start:end]).strip() for start, end in read.spans] == SENTENCE
    edges = [edge for span in read.spans for edge in span]
    assert edges[1:-1:2] == edges[2::2]  # one after the other, none left out
    assert (edges[0], edges[-1]) == (1, len(read.input_ids))


def test_the_first_word_has_no_space_before_it():
    tokenizer = tiny_tokenizer()
    (read,) = subwords(tokenizer, [["dog", "dog"]], max_length=64)
    assert tokenizer.convert_ids_to_tokens(read.input_ids) == ["<s>", "do", "g", "Ġdog"]
    assert read.spans == [(1, 3), (3, 4)]


def test_a_space_that_is_a_token_belongs_to_the_word_after_it():
    tokenizer = TOKENIZERS["byte-level, digits apart, offsets trimmed"]()
    (read,) = subwords(tokenizer, [["dog", "42", "dog"]], max_length=64)
    assert tokenizer.convert_ids_to_tokens(read.input_ids) == ["<s>", "do", "g", "Ġ", "4", "2", "Ġdog"]
    assert read.spans == [(1, 3), (3, 6), (6, 7)]


def test_words_that_do_not_fit_are_unread():
    tokenizer = tiny_tokenizer()
    (read,) = subwords(tokenizer, [["dog", "dog", "dogs", "dog"]], max_length=5)
    assert tokenizer.convert_ids_to_tokens(read.input_ids) == ["<s>", "do", "g", "Ġdog", "Ġdog"]
    assert read.spans == [(1, 3), (3, 4), (4, 5), UNREAD]  # "dogs" is read in part


def test_a_token_of_two_words_is_a_sub_word_of_both():
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["the dog"])
    (read,) = subwords(tokenizer, [["the", "dog", "is"]], max_length=64)
    assert tokenizer.convert_ids_to_tokens(read.input_ids)[:2] == ["<s>", "the dog"]
    assert read.spans[:2] == [(1, 2), (1, 2)]
    assert read.spans[2][0] == 2


def test_what_the_tokenizer_puts_around_a_text_stays_there():
    tokenizer = tiny_tokenizer()
    special = [("<s>", tokenizer.bos_token_id), ("</s>", tokenizer.eos_token_id)]
    template = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=special)
    tokenizer.backend_tokenizer.post_processor = template
    read = subwords(tokenizer, [["dog", "dog"], ["dog"]], max_length=4)
    assert [tokenizer.convert_ids_to_tokens(sentence.input_ids) for sentence in read] == [
        ["<s>", "do", "g", "</s>"],
        ["<s>", "do", "g", "</s>"],
    ]
    assert [sentence.spans for sentence in read] == [[(1, 3), UNREAD], [(1, 3)]]


def test_a_tokenizer_without_bos_gets_one():
    tokenizer = TOKENIZERS["sentencepiece"]()
    assert tokenizer("dog")["input_ids"][0] != tokenizer.bos_token_id
    (read,) = subwords(tokenizer, [["dog"]], max_length=64)
    assert read.input_ids[0] == tokenizer.bos_token_id
