"""Makes the page: what the template shows, from the runs."""

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jinja2

import fcn.report.charts as charts
import fcn.report.numbers as numbers
from fcn.findings import LEVELS
from fcn.report.charts import Chart, Series, strength
from fcn.report.curves import number, wants_log
from fcn.report.gallery import Gallery
from fcn.report.numbers import MEASURES
from fcn.report.reading import Run
from fcn.report.records import Record, is_number
from fcn.report.which import stages
from fcn.vis import make_palette

MOST_MARKS = 6  # changes of the learning rate that are marked; more are a chart of their own
STEPS = (0.01, 0.05, 0.2, 0.5, 1.0)  # of the matrix's colour scale


def percent(value: Any, digits: int = 1) -> str:
    """A share of 1 in percent, without the sign; a dash if there is none."""
    there = isinstance(value, int | float) and value == value
    return f"{100 * value:.{digits}f}" if there else "–"


def render(runs: Sequence[Run]) -> str:
    """The page of one run, or of several side by side."""
    loader = jinja2.PackageLoader("fcn.report")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=_number, percent=percent, strength=strength)
    gallery = Gallery()
    names = list(dict.fromkeys(layer for run in runs for layer in run.scores))
    layers = [layer_of(runs, name, gallery) for name in names]
    losses = [numbers.loss_of(run) for run in runs]
    page = environment.get_template("page.html")
    return page.render(
        title=title_of(runs),
        runs=runs,
        several=len(runs) > 1,
        losses=losses,
        loss_charts=loss_charts(runs, losses),
        layers=layers,
        strides=gallery.strides(stages(list(runs)), names[0]) if names else [],
        record=record_of(runs),
        states=[state_of(run) for run in runs],
        findings=[(run, finding) for run in runs for finding in sorted_findings(run)],
        problems=[(run, problem) for run in runs for problem in run.problems],
        measures=MEASURES,
        steps=STEPS,
    )


def title_of(runs: Sequence[Run]) -> str:
    """What the page is about."""
    if len(runs) > 1:
        return " and ".join(run.label for run in runs)
    return f"{runs[0].model}, run {runs[0].name}"


def three_digits(value: float) -> str:
    """A number that fits beside a curve."""
    return number(float(f"{value:.3g}"))


def state_of(run: Run) -> str:
    """When a run started and how it ended, in a line."""
    facts = about(run)
    if run.refused:
        return "refused before its first step, for what is found below; nothing was trained"
    words = [facts.get("task", ""), f"started {facts['started']}" if "started" in facts else ""]
    words += [
        f"on {facts['device']}" if "device" in facts else "",
        f"ended: {ending_of(run, brief=True)}",
    ]
    return " · ".join(filter(None, words))


def _number(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else "–"


# ---- curves


def loss_charts(runs: Sequence[Run], losses: Sequence[numbers.Loss | None]) -> list[Chart]:
    """The loss, and the learning rate where its changes cannot be marked there."""
    there = [(k, run, loss) for k, (run, loss) in enumerate(zip(runs, losses)) if loss]
    if not there:
        return []
    series: list[Series] = []
    alone = len(there) == 1
    log = wants_log(numbers.together(loss.smoothed for _, _, loss in there))
    for k, run, loss in there:
        raw = numbers.positive(loss.raw) if log else loss.raw
        held_back = numbers.positive(loss.held_back) if log else loss.held_back
        if alone:
            series.append(Series("each line", raw, k, faint=True))
        series.append(Series("training" if alone else run.label, loss.smoothed, k))
        series.append(Series("held back", held_back, 1 if alone else k, only_dots=not alone))
    series = [one for one in series if alone or not one.only_dots]
    changes = there[0][2].changes
    few = len(changes) <= MOST_MARKS and all(loss.changes == changes for _, _, loss in there)
    marks = [(x, f"rate {number(rate)}") for x, rate in changes] if few else []
    unit = there[0][2].unit + (", logarithmic" if log else "")
    found = [charts.chart("Loss", unit, series, log=log, marks=marks, show=three_digits)]
    if not few or len({loss.first_rate for _, _, loss in there}) > 1:
        rates = [Series(run.label or "rate", loss.rate, k, steps=True) for k, run, loss in there]
        values = numbers.together(loss.rate for _, _, loss in there)
        found.append(charts.chart("Learning rate", "", rates, height=110, log=wants_log(values, 5)))
    return [one for one in found if one]


def score_charts(runs: Sequence[Run], layer: str) -> list[Chart]:
    """The measures over iterations: one chart for one run, a chart a measure for several."""
    curves = {
        measure: [numbers.measure_of(run.scores.get(layer, ()), measure) for run in runs]
        for measure in MEASURES
    }
    show: Callable[[float], str] = lambda value: percent(value)  # noqa: E731
    if len(runs) == 1:
        series = [Series(MEASURES[m], curves[m][0], k) for k, m in enumerate(MEASURES)]
        found = [charts.chart("Scores", "percent", series, show=show, factor=100)]
    else:
        found = []
        for measure, name in MEASURES.items():
            series = [
                Series(run.label, c, k) for k, (run, c) in enumerate(zip(runs, curves[measure]))
            ]
            found.append(charts.chart(name, "percent", series, height=170, show=show, factor=100))
    return [one for one in found if one]


# ---- a score layer


class Bar(NamedTuple):
    """A class and its IU in each run; None where it has none."""

    name: str
    color: str
    values: list[float | None]
    accuracies: list[float | None]
    frequency: float | None


class Confused(NamedTuple):
    """A run's confusion matrix and its largest confusions."""

    run: Run
    iteration: int
    matrix: charts.Matrix
    largest: list[dict[str, Any]]


def layer_of(runs: Sequence[Run], layer: str, gallery: Gallery) -> dict[str, Any]:
    """All that the page shows of one score layer."""
    newest = [run.scores[layer][-1] if run.scores.get(layer) else None for run in runs]
    rows = gallery.rows(runs, layer)
    names = next((names_in(run, layer, r) for run, r in zip(runs, newest) if r), [])
    return {
        "name": layer,
        "newest": newest,
        "best": [numbers.best(run.scores.get(layer, ())) for run in runs],
        "charts": score_charts(runs, layer),
        "bars": bars_of(runs, layer, newest),
        "confused": confused(runs, layer, newest),
        "pictures": rows,
        "palette": palette_of(names, gallery.classes if rows else None),
        "table": [(run, row) for run in runs for row in reversed(run.scores.get(layer, []))],
    }


def names_in(run: Run, layer: str, record: Record) -> list[str]:
    """The class names of a scoring."""
    return [score.name for score in numbers.classes_of(run, layer, record)]


def bars_of(runs: Sequence[Run], layer: str, newest: Sequence[Record | None]) -> list[Bar]:
    """The classes by the first run's IU, the best first; those without a score last."""
    columns = [numbers.classes_of(run, layer, r) if r else [] for run, r in zip(runs, newest)]
    length = max(map(len, columns), default=0)
    columns = [column for column in columns if len(column) in (0, length)]
    first = next((column for column in columns if column), [])
    bars = []
    for score in sorted(first, key=lambda c: (c.iu is None, -(c.iu or 0), c.number)):
        same = [column[score.number] if column else None for column in columns]
        ius, accuracies = ([c and getattr(c, what) for c in same] for what in ("iu", "accuracy"))
        bars.append(Bar(score.name, color(score.number), ius, accuracies, score.frequency))
    return bars


def confused(runs: Sequence[Run], layer: str, newest: Sequence[Record | None]) -> list[Confused]:
    """The confusion matrices of the runs that have one."""
    found = []
    for run, record in zip(runs, newest):
        hist = numbers.hist_of(record) if record else None
        if record is None or hist is None or not hist.any():
            continue
        names = numbers.names_of(run, layer, len(hist))
        largest = [
            {"truth": names[c.truth], "given": names[c.given], "share": c.share, "pixels": c.pixels}
            for c in numbers.confusions(hist)
        ]
        matrix = charts.matrix(numbers.shares_of(hist), names)
        found.append(Confused(run, record["iteration"], matrix, largest))
    return found


def color(index: int) -> str:
    """The colour of a class in pictures, as in a style sheet."""
    return "#" + bytes(make_palette(256)[index].tolist()).hex()


def palette_of(names: Sequence[str], seen: set[int] | None) -> dict[str, list[tuple[str, str]]]:
    """The legend of the pictures' colours: the classes that are in them, and the others."""
    every = [(color(k), name) for k, name in enumerate(names)]
    if seen is None:
        return {"shown": [], "others": []}
    shown = [entry for k, entry in enumerate(every) if k in seen]
    shown += [(color(255), "void: not scored")] if 255 in seen else []
    return {"shown": shown, "others": [e for k, e in enumerate(every) if k not in seen]}


# ---- findings and the record


def sorted_findings(run: Run) -> list[Record]:
    """A run's findings, the heaviest first; the same one only once, as it was said last."""
    last = {(f.get("kind"), f.get("what")): f for f in run.findings}
    weight = {level: k for k, level in enumerate(LEVELS)}
    return sorted(last.values(), key=lambda f: weight.get(str(f.get("level")), len(LEVELS)))


class Fact(NamedTuple):
    """A row of the run record: what each run has there."""

    name: str
    values: list[str]
    differs: bool


def record_of(runs: Sequence[Run]) -> dict[str, list[Fact]]:
    """The run records as tables: heading -> rows; those in which runs differ are marked."""
    tables: dict[str, list[Fact]] = {}
    each = [{"Run": about(run), "Solver": solver_fields(run)} for run in runs]
    for heading in ("Run", "Solver"):
        keys = dict.fromkeys(key for tables_of in each for key in tables_of[heading])
        for key in keys:
            values = [tables_of[heading].get(key, "–") for tables_of in each]
            fact = Fact(key, values, len(set(values)) > 1)
            tables.setdefault(heading, []).append(fact)
    return tables


def about(run: Run) -> dict[str, str]:
    """run.json as texts for people."""
    record, start = run.about, run.about.get("start") or []
    files = [f"{s.get('net', '')}: {s.get('file', '')}" for s in start if isinstance(s, dict)]
    sha1s = [str(s.get("sha1", "")) for s in start if isinstance(s, dict)]
    command, versions = record.get("command"), record.get("versions")
    texts = {
        "folder": str(run.folder),
        "task": "embedded task" if run.sample else "",
        "started": short_time(record.get("started")),
        "ended": ending_of(run),
        "starts from": "; ".join(files),
        "start's sha1": str(record.get("start_sha1") or "; ".join(sha1s)),
        "seed": str(record.get("seed", "")),
        "settings": ", ".join(f"{k}={v}" for k, v in (record.get("set") or {}).items()),
        "command": shlex.join(map(str, command)) if isinstance(command, list) else command or "",
        "device": str(record.get("device", "")),
        "precision": str(record.get("precision", "")),
        "host": str(record.get("host", "")),
        "versions": ", ".join(f"{k} {v}" for k, v in versions.items() if v)
        if isinstance(versions, dict)
        else "",
    }
    return {key: text for key, text in texts.items() if text and text != "None"}


def ending_of(run: Run, brief: bool = False) -> str:
    """How a run ended, as part of a sentence; `brief`: not what an error said."""
    if run.refused:
        return "refused before its first step"
    if not run.about:
        return "unknown: run.json is not there or cannot be read"
    ended = run.about.get("ended")
    if not ended:
        return "not yet, or killed"
    how, iteration = str(ended.get("how") or "unknown"), ended.get("iteration")
    if any(finding.get("what") and finding["what"] in how for finding in run.findings):
        how = "by what was found (see Findings)"
    elif brief and ": " in how:
        how = "by an error (see Run record)"
    at = f" at iteration {number(iteration)}" if is_number(iteration) else ""
    return f"{how}{at}, {short_time(ended.get('time'))}".rstrip(", ")


def short_time(text: Any) -> str:
    """An ISO time without fractions of a second."""
    return re.sub(r"\.\d+", "", str(text or "")).replace("T", " ")


def solver_fields(run: Run) -> dict[str, str]:
    """The fields of the solver's text; repeated ones are joined."""
    fields: dict[str, str] = {}
    for line in str(run.about.get("solver") or "").splitlines():
        key, colon, value = line.partition(":")
        if colon and re.fullmatch(r"\s*\w+", key):
            key, value = key.strip(), value.partition(" #")[0].strip()
            fields[key] = f"{fields[key]}, {value}" if key in fields else value
    return fields
