"""What `make demo` runs: a table inside the install, a model from one line, and what it learned.

The last fifth of the rows is held out before anything is fitted; every figure printed is of those rows.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import decet
from decet import DNN, TableClassifier
from decet.training.progress import Live

FOLDER = Path("runs/demo")


def main() -> None:
    warnings.filterwarnings("ignore", category=decet.DataWarning)
    table = load_breast_cancer(as_frame=True)
    labels = table.target.map({0: "malignant", 1: "benign"})
    X, X_test, y, y_test = train_test_split(table.data, labels, test_size=0.2, stratify=labels, random_state=0)
    print(f"breast cancer: {len(X)} rows to learn from, {len(X_test)} held out, {X.shape[1]} columns\n")

    show = Live("fit")
    model = TableClassifier(DNN()).fit(X, y, show=show)
    show.close()
    figures = model.evaluate(X_test, y_test)
    print("held-out figures of TableClassifier(DNN()):")
    for name in ("accuracy", "auc", "log_loss", "calibration_error"):
        print(f"  {name:18} {figures[name]:.4f}")

    print("\nand of what needs no network:")
    for rival in (make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), HistGradientBoostingClassifier()):
        name = type(rival[-1] if hasattr(rival, "steps") else rival).__name__
        print(f"  {name:32} accuracy {rival.fit(X, y).score(X_test, y_test):.4f}")

    print("\nwhat it looks at (accuracy lost when a column is shuffled):")
    found = permutation_importance(model, X_test, y_test, n_repeats=5, random_state=0)
    for i in found.importances_mean.argsort()[::-1][:6]:
        loss = found.importances_mean[i]
        print(f"  {X.columns[i]:26} {loss:.4f}  {'#' * round(600 * max(loss, 0))}")

    model.save(FOLDER)
    print(f"\nsaved to {FOLDER}; checked again from its files:")
    print(decet.verify(FOLDER))
    row = X_test.iloc[:1]
    answer, sure = decet.load(FOLDER).predict(row)[0], model.predict_proba(row).max()
    print(f"\nfirst held-out row: {answer} ({sure:.1%} sure), in truth {y_test.iloc[0]}")


if __name__ == "__main__":
    main()
