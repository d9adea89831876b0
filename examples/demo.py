"""What `make demo` runs: a table inside the install, a model from one line, and what it learned; words; writing.

A fifth of the rows is held out before anything is fitted; every figure printed is of those rows.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split

import decet
from decet import DNN, LSTM, TableRegressor, TextGenerator, Transformer, Word2Vec, WordEmbedder
from decet.training.progress import Live

FOLDER = Path("runs/demo")
SENTENCES = ("我喜歡吃蘋果", "蘋果是我的最愛", "我不喜歡吃香蕉", "香蕉太甜了", "我喜歡讀書", "讀書讓我快樂")


def main() -> None:
    warnings.filterwarnings("ignore", category=decet.DataWarning)
    table()
    words()
    writing()


def table() -> None:
    found = load_diabetes(as_frame=True, scaled=False)
    X, X_test, y, y_test = train_test_split(found.data, found.target, test_size=0.2, random_state=0)
    print("diabetes: how far will the disease have gone in a year (25 to 346)?")
    print(f"{len(X)} rows to learn from, {len(X_test)} held out, {X.shape[1]} columns\n")

    show = Live("fit")
    model = TableRegressor(DNN()).fit(X, y, show=show)
    show.close()
    figures = model.evaluate(X_test, y_test)
    print("held-out figures of TableRegressor(DNN()):")
    print("  " + "  ".join(f"{name} {value:.3f}" for name, value in figures.items()))

    print("and of what needs no network:")
    for rival in (RidgeCV(), HistGradientBoostingRegressor(random_state=0)):
        print(f"  {type(rival).__name__:30} r2 {rival.fit(X, y).score(X_test, y_test):.3f}")

    print("\nwhat it looks at (r2 lost when a column is shuffled):")
    lost = permutation_importance(model, X_test, y_test, n_repeats=10, random_state=0).importances_mean
    for i in lost.argsort()[::-1][:6]:
        loss = lost[i]
        print(f"  {X.columns[i]:6} {loss:7.3f}  {'#' * round(150 * max(loss, 0))}")

    model.save(FOLDER)
    print(f"\nsaved to {FOLDER}; checked again from its files:")
    print(decet.verify(FOLDER))
    answer = decet.load(FOLDER).predict(X_test[:1])[0]
    print(f"\nfirst held-out row: {answer:.0f}, in truth {y_test.iloc[0]:.0f}")


def words() -> None:
    """Six sentences teach little, but they are cut into words, and each word has neighbours."""
    print("\nsix sentences: " + "  ".join(SENTENCES))
    model = WordEmbedder(Word2Vec(width=50)).fit(SENTENCES)
    print(f"WordEmbedder(Word2Vec()) found the words {' '.join(model.codec_.words)}")
    near = model.most_similar("蘋果", topn=5)
    print("nearest to 蘋果 (apple): " + "  ".join(f"{word} {cosine:.2f}" for word, cosine in near))


def writing() -> None:
    """Half a minute each teaches spelling and the look of our own pages, little sense."""
    manual = [path.read_text(encoding="utf-8") for path in (Path("README.md"), *sorted(Path("docs").glob("*.md")))]
    FOLDER.mkdir(parents=True, exist_ok=True)
    book = FOLDER / "manual.txt"
    book.write_text("\n".join(manual), encoding="utf-8")
    print(f"\nwhat comes next in decet's own manual, {book.stat().st_size:,} bytes, the last tenth held out?")
    for family in (Transformer(width=128, depth=3, heads=4, context=128), LSTM(width=256, depth=1)):
        show = Live("fit")
        model = TextGenerator(family).fit(str(book), budget=30, show=show)
        show.close()
        print(f"TextGenerator({type(family).__name__}()): {model.metrics_['bits_per_byte']:.2f} bits a byte held out")
        (text,) = model.generate("A model ", length=120, temperature=0.6)
        print(f"  A model {' '.join(text.split())}")


if __name__ == "__main__":
    main()
