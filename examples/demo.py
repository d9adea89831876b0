"""What `make demo` runs: a table inside the install, a model from one line, and what it learned.

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
from decet import DNN, TableRegressor
from decet.training.progress import Live

FOLDER = Path("runs/demo")


def main() -> None:
    warnings.filterwarnings("ignore", category=decet.DataWarning)
    table = load_diabetes(as_frame=True, scaled=False)
    X, X_test, y, y_test = train_test_split(table.data, table.target, test_size=0.2, random_state=0)
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
    found = permutation_importance(model, X_test, y_test, n_repeats=10, random_state=0)
    for i in found.importances_mean.argsort()[::-1][:6]:
        loss = found.importances_mean[i]
        print(f"  {X.columns[i]:6} {loss:7.3f}  {'#' * round(150 * max(loss, 0))}")

    model.save(FOLDER)
    print(f"\nsaved to {FOLDER}; checked again from its files:")
    print(decet.verify(FOLDER))
    answer = decet.load(FOLDER).predict(X_test[:1])[0]
    print(f"\nfirst held-out row: {answer:.0f}, in truth {y_test.iloc[0]:.0f}")


if __name__ == "__main__":
    main()
