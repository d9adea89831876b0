"""Pages in a real browser: no error, nothing asked of a network, narrow and wide, light and dark, printed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits

import decet
from decet import CNN, DNN, ImageClassifier, Recipe, TableClassifier, TableRegressor, TextClassifier

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine"),
    pytest.mark.filterwarnings("ignore"),
]
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-default-apps")  # fmt: skip
OURS = re.compile(r"^(file|data|chrome|about|devtools):")
# What the page says of itself when it is laid out; run from a frame around it, so that the page itself has no script.
MEASURE = """<!doctype html><title>-</title><iframe id=f src="{page}" style="width:{width}px;height:900px"></iframe>"""


def table(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {"年齡": rng.normal(size=300), "b": rng.normal(size=300), "城市": rng.choice(["臺北", "高雄"], 300)}
    )
    y = np.where(X["年齡"] + 0.5 * rng.normal(size=300) > 0, "是", "否")
    model = TableClassifier(DNN(width=8, depth=1), recipe=Recipe(epochs=3, members=1)).fit(X[:200], y[:200])
    return decet.report(model, X[200:], y[200:], train=(X[:200], y[:200]), out=folder / "table.html")


def numbers(folder: Path) -> Path:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = TableRegressor(DNN(width=8, depth=1), recipe=Recipe(epochs=3, members=2)).fit(X[:300], y[:300])
    return decet.report(model, X[300:], y[300:], out=folder / "numbers.html")


def pictures(folder: Path) -> Path:
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8)
    model = ImageClassifier(CNN(channels=(8,)), recipe=Recipe(epochs=1)).fit(X[:300], y[:300])
    return decet.report(model, X[300:600], y[300:600], out=folder / "pictures.html")


def texts(folder: Path) -> Path:
    stays = [f"第{i}天 房间 {word}" for i in range(20) for word in ("很干净", "很安静", "很脏", "很吵")]
    labels = ["好", "好", "坏", "坏"] * 20
    model = TextClassifier(CNN(kernels=(1, 2), width=8), recipe=Recipe(epochs=2)).fit(stays, labels)
    return decet.report(model, stays[:20], labels[:20], out=folder / "texts.html")


def comparison(folder: Path) -> Path:
    decet.compare(TableClassifier(recipe=Recipe(epochs=1, members=1)), "iris", families=["DNN"], out=folder / "c")
    return folder / "c" / "report.html"


def tour(folder: Path) -> Path:
    decet.tour(["DNN"], out=folder / "t")
    return folder / "t" / "tour.html"


@pytest.fixture(
    scope="module", params=[table, numbers, pictures, texts, comparison, tour], ids=lambda make: make.__name__
)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make: Callable[[Path], Path] = request.param
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(tmp_path_factory.mktemp("pages"))


def opened(address: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """What the browser said, and the hosts that were asked while an address was open."""
    log = folder / "net.json"
    done = subprocess.run(
        [str(BROWSER), *QUIET, f"--user-data-dir={folder / 'user'}", "--enable-logging=stderr",
         f"--log-net-log={log}", "--dump-dom", address],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    asked = re.findall(r'"url":"([^"]+)"', log.read_text())
    return done, {url.split("/")[2] for url in asked if not OURS.match(url)}


@pytest.fixture(scope="module")
def its_own(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Hosts that the browser asks by itself, whatever it shows."""
    return opened("about:blank", tmp_path_factory.mktemp("blank"))[1]


def test_a_page_asks_nothing_of_a_network_and_has_no_error(page: Path, its_own: set[str], tmp_path: Path) -> None:
    done, asked = opened(page.as_uri(), tmp_path)
    assert "<footer>" in done.stdout
    assert "CONSOLE" not in done.stderr
    assert not asked - its_own


def test_a_page_that_asks_is_seen(its_own: set[str], tmp_path: Path) -> None:
    asking = tmp_path / "asking.html"
    asking.write_text("<img src='http://somewhere.invalid/a.png'><script>console.error('no')</script><footer></footer>")
    done, asked = opened(asking.as_uri(), tmp_path)
    assert "somewhere.invalid" in asked - its_own
    assert "CONSOLE" in done.stderr


@pytest.mark.parametrize("width", [360, 1400])
def test_a_page_fits_narrow_and_wide_windows(page: Path, tmp_path: Path, width: int) -> None:
    """The page's own width, told by a frame around it, is that of the window: nobody has to scroll sideways."""
    around = tmp_path / "around.html"
    script = (
        "<script>f.onload=()=>{const d=f.contentDocument;"
        "document.title=JSON.stringify([d.documentElement.scrollWidth,d.documentElement.clientWidth])}</script>"
    )
    around.write_text(MEASURE.format(page=page.as_uri(), width=width) + script)
    done = subprocess.run(
        [str(BROWSER), *QUIET, f"--user-data-dir={tmp_path / 'user'}", "--allow-file-access-from-files",
         "--virtual-time-budget=5000", "--window-size=1600,1000", "--dump-dom", around.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = re.search(r"<title>(\[[^<]+\])</title>", done.stdout)
    assert found, done.stdout[:500]
    needed, there = json.loads(found[1])
    assert needed <= there


def shown(page: Path, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BROWSER), *QUIET, f"--user-data-dir={folder / 'user'}", "--window-size=800,600", *flags, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("scheme", "dark"), [(0, True), (1, False)], ids=["dark", "light"])
def test_a_page_is_as_dark_as_its_reader_wants_it(page: Path, tmp_path: Path, scheme: int, dark: bool) -> None:
    picture = tmp_path / "shown.png"
    shown(page, tmp_path, f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={picture}")
    pixels = np.asarray(Image.open(picture).convert("L"))
    ground = float(np.median(pixels))
    assert ground < 64 if dark else ground > 192
    assert float(np.abs(pixels - ground).max()) > 128  # what is written stands out


def test_a_page_prints(page: Path, tmp_path: Path) -> None:
    printed = tmp_path / "printed.pdf"
    shown(page, tmp_path, f"--print-to-pdf={printed}")
    assert printed.read_bytes().startswith(b"%PDF")
    assert re.findall(rb"/Type\s*/Page\b", printed.read_bytes())
