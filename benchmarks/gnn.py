"""The works of the family GNN: speed and memory beside PyTorch Geometric, growth, accuracy on citation graphs, hidden
links, communities, the club of two labels.

See `benchmarks.graphs` for who does what.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks import graphs
from benchmarks.measure import Job, Work, in_turns
from benchmarks.report import Found, Goal, Report, Table, ratio_of_medians, shown, spread

PEER = "PyTorch Geometric"
GOALS = {"cora": 10.0, "made": 2.0, "memory": 1.0, "linear": 1.25}
MADE = (170_000, 1_200_000)  # nodes, edges
EDGES = (10_000, 100_000, 1_000_000, 10_000_000)  # of growth, 7 a node
ROOM = 1_000_000  # edges, beyond which the peer's messages (arcs, 128) have no room here: 10 GB a layer
SEEDS = 20
SETS = ("cora", "citeseer", "pubmed")
ACCURACY = {  # variant -> goals on each set
    "gcn": (0.815, 0.703, 0.790),
    "gcn2": (0.855, 0.734, 0.803),
    "best": (0.854, 0.754, 0.827),
    "default": (0.0, 0.0, 0.0),
}
LINKS = {"GNN": (0.95, 0.92, 0.975), "Word2Vec": (0.0, 0.0, 0.0)}  # auc of hidden edges, of each set
LINK_SEEDS, CLUB_SEEDS = 5, 100
CLUB = 0.97  # of the members but two, whose sides are told
SLACK = 0.005  # that a reproduced figure may lie below the published one
REPRODUCED = ("gcn", "gcn2")
DEEP = {  # GCNII as its authors have it (2007.02133, table 6): layers, width, dropout, decay
    "cora": (64, 64, 0.6, 0.5),
    "citeseer": (32, 256, 0.7, 0.6),
    "pubmed": (16, 256, 0.5, 0.4),
}


PATIENT = {"epochs": 2_000, "metric": "log_loss", "optimizer": "adam", "schedule": "constant"}
TUNED = {  # GRAND (2005.11079), its settings where validation nodes chose no others: recipe, network, question
    "cora": (
        {"lr": 0.01, "weight_decay": 1e-3, "patience": 200},
        {"hops": 8, "node_dropout": 0.5, "input_dropout": 0.7, "dropout": 0.5},
        {"views": 4, "consistency": 1.0, "sharpening": 0.5},
    ),
    "citeseer": (
        {"lr": 0.01, "weight_decay": 1e-3, "patience": 400},
        {"hops": 2, "node_dropout": 0.5, "input_dropout": 0.0, "dropout": 0.2},
        {"views": 2, "consistency": 0.7, "sharpening": 0.3},
    ),
    "pubmed": (
        {"lr": 0.02, "weight_decay": 1e-3, "patience": 80},
        {"hops": 5, "node_dropout": 0.3, "input_dropout": 0.8, "dropout": 0.5},
        {"views": 4, "consistency": 1.0, "sharpening": 0.3},
    ),
}


def _variant(name: str, data: str, seed: int) -> Any:
    """Settings of the published network, or those that the validation nodes of this set chose; see docs/gnn.md."""
    from decet import GNN, NodeClassifier, Recipe

    if name == "default":
        return NodeClassifier(seed=seed)
    if name == "gcn":
        recipe = Recipe(epochs=200, weight_decay=5e-4, patience=200)
        family = GNN(conv="gcn", width=16, depth=2, dropout=0.5, node_dropout=0.0)
        return NodeClassifier(family, views=1, recipe=recipe, seed=seed)
    if name == "gcn2":
        depth, width, dropout, fading = DEEP[data]
        recipe = Recipe(epochs=1500, weight_decay=5e-4, patience=100, metric="log_loss")
        family = GNN(conv="gcn2", depth=depth, width=width, dropout=dropout, decay=fading, node_dropout=0.0)
        return NodeClassifier(family, views=1, recipe=recipe, seed=seed)
    said, network, question = TUNED[data]
    family = GNN(conv="grand", width=32, **network)
    return NodeClassifier(family, recipe=Recipe(**PATIENT, **said), seed=seed, **question)


VARIANTS = {name: partial(_variant, name) for name in ACCURACY}

# -------------------------------------------------------------------------------------------------------------- speed


def _pair(work: str, **said: Any) -> list[Job]:
    """decet and its peer."""
    return [
        Job(work, "decet", "benchmarks.graphs:decet", said, imports=graphs.IMPORTS["decet"], packages=("torch",)),
        Job(work, PEER, "benchmarks.graphs:geometric", said, imports=graphs.IMPORTS[PEER], ours=False,
            packages=("torch", "torch_geometric")),
    ]  # fmt: skip


def _speed_jobs(quick: bool, runs: int) -> list[Job]:
    nodes, edges = (2_000, 14_000) if quick else MADE
    turn = _pair("speed", name="cora", quick=quick)
    return in_turns([*turn, *_pair("speed", name="made", nodes=nodes, edges=edges, quick=quick)], runs)


def _speed_report(found: Found, keep: Path) -> Report:
    rows, goals = [], list[Goal]()
    for name in ("cora", "made"):
        own, other = found.of("decet", name=name), found.of(PEER, name=name)
        key = "seconds" if name == "cora" else "epoch"
        ratio = ratio_of_medians(other.values(key), own.values(key))
        memory = ratio_of_medians(own.values("peak_above_mb"), other.values("peak_above_mb"))
        for who, part in (("decet", own), (PEER, other)):
            rows.append([
                name, who, shown(part.middle("seconds"), ".2f", void=part.void), spread(part.values("seconds"), ".2f"),
                shown(part.middle("epoch"), ".4f"), shown(part.middle("rate")), shown(part.middle("peak_above_mb")),
            ])  # fmt: skip
        what = "200 epochs of GCN on Cora" if name == "cora" else "an epoch of the made graph"
        goals.append(found.goal(f"{what}: {PEER}'s seconds / decet's", ">=", GOALS[name], ratio))
        goals.append(found.goal(f"{what}: peak memory / {PEER}'s", "<=", GOALS["memory"], memory))
    header = ("graph", "contender", "seconds", "least - most", "of an epoch", "arcs/s", "MB above data")
    note = "Cora: 2 layers of 16, 200 epochs. Made: 170,000 nodes, 1,200,000 edges, 128 features, 3 layers of 128."
    return Report([Table("training", header, rows, note)], goals)


def _growth_jobs(quick: bool, runs: int) -> list[Job]:
    jobs = []
    for edges in EDGES[:2] if quick else EDGES:
        both = _pair("growth", name="made", nodes=edges // 7, edges=edges, quick=quick)
        jobs += both if edges <= ROOM else both[:1]
    return jobs


def _growth_report(found: Found, keep: Path) -> Report:
    rows = []
    for edges in EDGES:
        for who in ("decet", PEER):
            part = found.of(who, edges=edges)
            if part:
                rows.append([
                    f"{edges:,}", who, shown(part.middle("epoch"), ".4f", void=part.void), shown(part.middle("rate")),
                    shown(part.middle("peak_above_mb")),
                ])  # fmt: skip
    large, small = found.of("decet", edges=EDGES[-1]), found.of("decet", edges=EDGES[-2])
    ratios = {
        name: None if not a or not b else (a[0] / EDGES[-1]) / (b[0] / EDGES[-2])
        for name in ("epoch", "peak_above_mb")
        for a, b in [(large.values(name), small.values(name))]
    }
    goals = [
        found.goal("10^7 edges: seconds an edge / those of 10^6", "<=", GOALS["linear"], ratios["epoch"]),
        found.goal("10^7 edges: memory an edge / that of 10^6", "<=", GOALS["linear"], ratios["peak_above_mb"]),
    ]
    header = ("edges", "contender", "seconds of an epoch", "arcs/s", "MB above data")
    return Report([Table("growth", header, rows, "Made graphs, 7 edges a node, 3 layers of 128.")], goals)


# ----------------------------------------------------------------------------------------------------------- accuracy


def _quality_jobs(quick: bool, runs: int) -> list[Job]:
    parts = tuple(range(2 if quick else SEEDS))
    return [
        Job("planetoid", variant, "benchmarks.graphs:planetoid", {"data": data, "variant": variant, "quick": quick},
            parts=parts, imports=graphs.IMPORTS["decet"], packages=("torch",), mode="shared")
        for variant in VARIANTS
        for data in SETS
    ]  # fmt: skip


def _quality_report(found: Found, keep: Path) -> Report:
    rows, goals = [], list[Goal]()
    for variant, targets in ACCURACY.items():
        for data, target in zip(SETS, targets, strict=True):
            own = found.of(variant, data=data)
            scores = own.values("accuracy")
            if not scores:
                continue
            several = f" ± {stdev(scores):.4f}" if len(scores) > 1 else ""
            seen = f"{fmean(own.values('validation')):.4f}"
            rows.append([
                variant, data, str(len(scores)), f"{fmean(scores):.4f}{several}", seen,
                shown(own.middle("seconds"), ".1f"),
            ])  # fmt: skip
            if target:
                least = target - SLACK if variant in REPRODUCED else target
                goals.append(found.goal(f"{data}: test accuracy of {variant}, mean", ">=", least, fmean(scores)))
    header = ("network", "graph", "seeds", "test accuracy", "of validation", "seconds")
    note = "The public split; validation nodes choose the epoch, test nodes judge. One thread beside another."
    return Report([Table("planetoid", header, rows, note)], goals)


# --------------------------------------------------------------------------------------------- links, communities, club


def _links_jobs(quick: bool, runs: int) -> list[Job]:
    parts = tuple(range(1 if quick else LINK_SEEDS))
    return [
        Job("links", family, "benchmarks.graphs:links", {"data": data, "family": family, "quick": quick},
            parts=parts, imports=graphs.IMPORTS["decet"], packages=("torch",), mode="shared")
        for family in LINKS
        for data in SETS
    ]  # fmt: skip


def _links_report(found: Found, keep: Path) -> Report:
    rows, goals = [], list[Goal]()
    for family, targets in LINKS.items():
        for data, target in zip(SETS, targets, strict=True):
            own = found.of(family, data=data)
            if not (scores := own.values("auc")):
                continue
            several = f" ± {stdev(scores):.4f}" if len(scores) > 1 else ""
            rows.append([
                family, data, str(len(scores)), f"{fmean(scores):.4f}{several}",
                f"{fmean(own.values('average_precision')):.4f}", f"{fmean(own.values('hits@20')):.4f}",
                shown(own.middle("seconds"), ".1f"),
            ])  # fmt: skip
            if target:
                goals.append(found.goal(f"{data}: auc of hidden edges, mean", ">=", target, fmean(scores)))
    header = ("family", "graph", "seeds", "auc", "average precision", "hits@20", "seconds")
    note = "85 % of the edges train, 5 % choose the epoch, 10 % judge, among as many pairs; the cell's own settings."
    return Report([Table("links", header, rows, note)], goals)


def _groups_jobs(quick: bool, runs: int) -> list[Job]:
    parts = tuple(range(1 if quick else LINK_SEEDS))
    return [
        Job("groups", who, "benchmarks.graphs:communities", {"data": data, "who": who, "quick": quick}, parts=parts,
            imports=graphs.IMPORTS["decet"], packages=("torch", "networkx"), mode="shared")
        for who in ("decet", "the network alone", "Louvain", "label propagation")
        for data in ("karate", *SETS)
    ]  # fmt: skip


def _groups_report(found: Found, keep: Path) -> Report:
    rows, goals = [], list[Goal]()
    for data in ("karate", *SETS):
        means = {}
        for who in ("decet", "the network alone", "Louvain", "label propagation"):
            own = found.of(who, data=data)
            if not (scores := own.values("modularity")):
                continue
            means[who] = fmean(scores)
            several = f" ± {stdev(scores):.4f}" if len(scores) > 1 else ""
            rows.append([
                data, who, f"{means[who]:.4f}{several}", f"{fmean(own.values('nmi')):.4f}",
                shown(own.middle("communities")), shown(own.middle("seconds"), ".2f"),
            ])  # fmt: skip
        if "decet" in means and "Louvain" in means:
            goals.append(found.goal(f"{data}: modularity / Louvain's", ">=", 1.0, means["decet"] / means["Louvain"]))
    header = ("graph", "contender", "modularity", "nmi with labels", "communities", "seconds")
    return Report([Table("communities", header, rows, "NetworkX's Louvain and label propagation.")], goals)


def _club_jobs(quick: bool, runs: int) -> list[Job]:
    parts = tuple(range(2 if quick else CLUB_SEEDS))
    return [
        Job("club", "default", "benchmarks.graphs:club", {"quick": quick}, parts=parts,
            imports=graphs.IMPORTS["decet"], packages=("torch",), mode="shared")
    ]  # fmt: skip


def _club_report(found: Found, keep: Path) -> Report:
    own = found.of("default")
    scores = own.values("accuracy")
    several = f"{fmean(scores):.4f}" + (f" ± {stdev(scores):.4f}" if len(scores) > 1 else "")
    rows = [["default", str(len(scores)), several, f"{min(scores):.4f}", f"{max(scores):.4f}"]]
    header = ("network", "seeds", "of the other 32, mean", "least", "most")
    goals = [found.goal("Karate club, two labels: accuracy of the rest, mean", ">=", CLUB, fmean(scores))]
    return Report([Table("club", header, rows, "Told: which sides the two leaders, 0 and 33, are on.")], goals)


WORKS = (
    Work("speed", "training beside PyTorch Geometric", _speed_jobs, _speed_report),
    Work("growth", "from ten thousand to ten million edges", _growth_jobs, _growth_report),
    Work("planetoid", "accuracy on citation graphs", _quality_jobs, _quality_report),
    Work("links", "hidden edges of citation graphs", _links_jobs, _links_report),
    Work("groups", "communities beside Louvain", _groups_jobs, _groups_report),
    Work("club", "two labels in Zachary's club", _club_jobs, _club_report),
)
