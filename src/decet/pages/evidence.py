"""What a classifier of texts goes by: the evidence of each word, and the most telling words of each class.

    evidence of a word = log-odds of the class with it - log-odds without it,   log-odds = log(p / (1 - p))

A word is left out of the text and the classifier asked again (occlusion), so any family, and any baseline, can be
looked into. Words are cut as the classifier's own settings say, Chinese ones by the dictionary.

Reference: Zeiler & Fergus, 1311.2901; for words Li, Monroe & Jurafsky, 1612.08220.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.data.texts import Texts
from decet.errors import BadInput, Unsupported
from decet.estimators.answers import place_of
from decet.estimators.saved import model_of

Array = NDArray[Any]
Ask = Callable[[Sequence[str]], Array]  # texts -> probabilities (n, K)
MOST = 100  # words of a text that are left out in turn; the rest counts, but is not looked into
BATCH = 256  # texts asked at a time
TRIED, WITH_WORD, SHOWN = 16, 2, 8  # of a class: words tried, texts for each, words given
MOST_TEXTS = 400  # looked through for words
TINY = 1e-12  # of a probability


def evidence(model: Any, text: str, label: Any = None) -> list[tuple[str, float]]:
    """The pieces of a text, which together are it, each with its evidence for a class; 0 for what is no word.

    model: a fitted classifier of texts, or its folder. label: the class; None = the one it answers.
    """
    model = model_of(model)
    if model.kind is not Texts or not hasattr(model, "predict_proba"):
        raise Unsupported(f"evidence is of classifiers of texts. Received: {type(model).__name__}.")
    model._check_fitted()
    spec = model.answer_.spec
    if len(spec.classes) > 1 or not spec.exclusive:
        raise Unsupported("evidence is of one column of labels, and this model answers with several.")
    if not isinstance(text, str):
        raise BadInput(f"evidence looks into one text, a str. Received: {type(text).__name__}.")
    classes = np.asarray(model.classes_).tolist()
    column = place_of(label, classes)
    settings = model._inputs()
    return evidence_in(lambda texts: model.predict_proba(list(texts)), settings, text, column)


def evidence_in(ask: Ask, settings: Texts, text: str, column: int | None = None) -> list[tuple[str, float]]:
    """The same of whatever answers texts with probabilities; column: the class's place among these."""
    text = _normalised(text, settings)
    spans = word_spans(text, settings)[:MOST]
    answers = _answers(ask, [text, *(f"{text[:begin]} {text[end:]}" for begin, end in spans)])
    place = int(answers[0].argmax()) if column is None else column
    odds = log_odds(answers, place)
    pieces: list[tuple[str, float]] = []
    at = 0
    for (begin, end), without in zip(spans, odds[1:], strict=True):
        pieces += [(text[at:begin], 0.0)] if begin > at else []
        pieces.append((text[begin:end], float(odds[0] - without)))
        at = end
    return [*pieces, (text[at:], 0.0)] if at < len(text) else pieces


def log_odds(probabilities: Array, column: int) -> Array:
    """Of one class, (n,)."""
    own = np.maximum(probabilities[:, column].astype(np.float64), TINY)
    others = np.maximum(np.delete(probabilities.astype(np.float64), column, 1).sum(1), TINY)
    odds: Array = np.log(own) - np.log(others)  # of the others' sum: 1 - p has no digits left where p is near 1
    return odds


def word_spans(text: str, settings: Texts) -> list[tuple[int, int]]:
    """Where the words of a text stand in it, (begin, end) each; a word that cannot be found again is passed over."""
    folded = "".join(_folded(character, settings) for character in text)
    spans, at = [], 0
    for word in settings.cut()(text):
        if word.isspace():
            continue
        begin = folded.find("".join(_folded(character, settings) for character in word), at)
        if begin >= 0:
            at = begin + len(word)
            spans.append((begin, at))
    return spans


def _normalised(text: str, settings: Texts) -> str:
    return text if settings.form is None else unicodedata.normalize(settings.form, text)  # type: ignore[arg-type]


def _folded(character: str, settings: Texts) -> str:
    """One character for one, as cutting may change it."""
    if character == "\u2019":
        return "'"
    if not settings.accents:
        character = unicodedata.normalize("NFD", character)[:1] or character
    lower = character.lower()
    return lower if settings.lower and len(lower) == 1 else character


def telling_words(ask: Ask, settings: Texts, texts: Sequence[str], answers: Array) -> list[list[tuple[str, float]]]:
    """Of each class the words that speak for it most, with their mean evidence in texts that are answered so.

    answers: probabilities (n, K) of these texts. Words that stand more often in texts of a class are tried: each is
    left out wherever it stands.
    """
    places = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), MOST_TEXTS)).astype(np.int64)).tolist()
    cut = settings.cut()
    words = {i: {word for word in cut(texts[i]) if not word.isspace()} for i in places}
    said = answers.argmax(1)
    found = []
    for column in range(answers.shape[1]):
        own = [i for i in places if said[i] == column]
        tried = _typical([words[i] for i in own], [words[i] for i in places if said[i] != column])
        found.append(
            _weighed(ask, settings, texts, column, [(w, [i for i in own if w in words[i]][:WITH_WORD]) for w in tried])
        )
    return found


def _typical(own: Sequence[set[str]], others: Sequence[set[str]]) -> list[str]:
    """Words that stand in more texts of these than of others, most surely so first."""
    here, there = (Counter(word for words in part for word in words) for part in (own, others))

    def rank(word: str) -> float:
        share, rest = (here[word] + 0.5) / (len(own) + 1), (there[word] + 0.5) / (len(others) + 1)
        return float(np.log(share / rest) * np.sqrt(here[word]))

    ranks = {word: rank(word) for word in here if here[word] > 1}
    return sorted((w for w in ranks if ranks[w] > 0), key=lambda w: (-ranks[w], w))[:TRIED]


def _weighed(
    ask: Ask, settings: Texts, texts: Sequence[str], column: int, tried: Sequence[tuple[str, list[int]]]
) -> list[tuple[str, float]]:
    asked = [(word, i) for word, places in tried for i in places]
    if not asked:
        return []
    before = log_odds(_answers(ask, [texts[i] for _, i in asked]), column)
    after = log_odds(_answers(ask, [without(texts[i], word, settings) for word, i in asked]), column)
    weights: dict[str, list[float]] = {}
    for (word, _), change in zip(asked, before - after, strict=True):
        weights.setdefault(word, []).append(float(change))
    means = [(word, float(np.mean(changes))) for word, changes in weights.items()]
    return sorted((pair for pair in means if pair[1] > 0), key=lambda pair: -pair[1])[:SHOWN]


def without(text: str, word: str, settings: Texts) -> str:
    """The text with a blank wherever the word stands."""
    text = _normalised(text, settings)
    parts, at = [], 0
    for begin, end in word_spans(text, settings):
        if "".join(_folded(c, settings) for c in text[begin:end]) == word:
            parts += [text[at:begin], " "]
            at = end
    return "".join([*parts, text[at:]])


def _answers(ask: Ask, texts: Sequence[str]) -> Array:
    return np.concatenate([ask(texts[begin : begin + BATCH]) for begin in range(0, len(texts), BATCH)])
