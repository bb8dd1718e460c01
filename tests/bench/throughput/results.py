# SPDX-License-Identifier: ISC
"""Medians and ratios of what was measured, as a table and as JSON."""
import os
import platform
import statistics
import subprocess
import time

FIGURES = ("accept_per_second", "per_second", "server_us", "client_us",
           "memory_mib", "flushes")
GOALS = {
    "ratio": ("times Postfix", True), "cpu": ("of Postfix's CPU", False),
    "of_sink": ("of the sink's rate", True),
    "cpu_of_sink": ("times the sink's CPU", False),
    "p99": ("p99 of Postfix's p50", False),
    "memory": ("of Postfix's memory a session", False),
    "kib": ("KiB a session", False),
    "beside": ("of the rate without", True),
}


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def middle_of(rounds):
    """Medians of one server's rounds of one row."""
    cell = {name: median([one.get(name) for one in rounds])
            for name in FIGURES}
    for name, place in (("p50", "reply_ms"), ("p99", "reply_ms")):
        cell[name] = median([one[place][name] for one in rounds
                             if one.get(place)])
    for name in ("out", "tls"):
        if rounds[0].get(name):
            cell[name] = rounds[0][name]
    rates = [one["per_second"] for one in rounds if "per_second" in one]
    if rates:
        cell["least"], cell["most"] = min(rates), max(rates)
    for name in ("handshakes", "resumed", "connections", "messages"):
        cell[name] = sum(one.get(name, 0) for one in rounds)
    roles = {role for one in rounds for role in one.get("us_by_role", {})}
    cell["us_by_role"] = {role: median([
        one["us_by_role"].get(role, 0) for one in rounds])
        for role in sorted(roles)}
    for one in rounds:
        for name in one.get("more", {}):
            cell[name] = median([other.get("more", {}).get(name)
                                 for other in rounds])
    return {name: value for name, value in cell.items() if value is not None}


def divide(one, other):
    return one / other if one is not None and other else None


def best_postfix(row):
    """Of the configurations of it that were tried, the fastest."""
    tried = [cell for kind, cell in row.items() if kind.startswith("postfix")]
    return max(tried, key=lambda cell: cell.get("per_second", 0), default={})


def ratios_of(row):
    """What the goals are about: {name: number}; row: {server: medians}."""
    ours = row.get("postern")
    if ours is None:
        return {}
    postfix, sink = best_postfix(row), row.get("sink", {})
    found = {
        "ratio": divide(ours.get("per_second"), postfix.get("per_second")),
        "cpu": divide(ours.get("server_us"), postfix.get("server_us")),
        "of_sink": divide(ours.get("per_second"), sink.get("per_second")),
        "cpu_of_sink": divide(ours.get("server_us"), sink.get("server_us")),
        "p99": divide(ours.get("p99"), postfix.get("p50")),
        "memory": divide(ours.get("kib_a_session"),
                         postfix.get("kib_a_session")),
        "kib": ours.get("kib_a_session"),
        "beside": ours.get("beside"),
    }
    return {name: value for name, value in found.items() if value is not None}


def summarise(measured):
    """{row: {"servers": {server: medians}, "ratios": {}}} of {row: {server:
    [figures of a round]}}."""
    summary = {}
    for name, servers in measured.items():
        row = {kind: middle_of(rounds) for kind, rounds in servers.items()
               if rounds}
        summary[name] = {"servers": row, "ratios": ratios_of(row)}
    return summary


def verdicts(rows, summary):
    """[(row, words, reached)] for each goal that has a figure."""
    found = []
    for row in rows:
        ratios = summary.get(row.name, {}).get("ratios", {})
        for name, wanted in row.wanted.items():
            if name not in ratios:
                continue
            words, least = GOALS[name]
            value = ratios[name]
            found.append((row.name, "%.2f %s (%s %.3g wanted)" % (
                value, words, "at least" if least else "at most", wanted),
                value >= wanted if least else value <= wanted))
    return found


# --- what is printed ---

def number(value, form="%.0f"):
    return "-" if value is None else form % value


COLUMNS = (
    ("accepted/s", "%10s", lambda cell: number(cell.get(
        "accept_per_second"))),
    ("until empty/s", "%13s", lambda cell: number(cell.get("per_second"))),
    ("least..most", "%13s", lambda cell: "%s..%s" % (
        number(cell.get("least")), number(cell.get("most")))),
    ("250 p50", "%8s", lambda cell: number(cell.get("p50"), "%.2f")),
    ("p99 ms", "%7s", lambda cell: number(cell.get("p99"), "%.1f")),
    ("CPU s/1000", "%10s", lambda cell: number(divide(cell.get(
        "server_us"), 1000), "%.3f")),
    ("MiB", "%6s", lambda cell: number(cell.get("memory_mib"))),
    ("flushes", "%7s", lambda cell: number(cell.get("flushes"), "%.2f")),
)


def table(rows, summary):
    """The lines of the table."""
    lines = ["%-18s %-16s " % ("workload", "server") + " ".join(
        form % name for name, form, _ in COLUMNS) + "  of Postfix"]
    for row in rows:
        servers = summary.get(row.name, {}).get("servers", {})
        if servers:
            lines.append("-- %s" % row.text)
        rate = best_postfix(servers).get("per_second")
        for kind, cell in servers.items():
            lines.append("%-18s %-16s " % (row.name, kind) + " ".join(
                form % value(cell) for _, form, value in COLUMNS) +
                "  %10s" % number(divide(cell.get("per_second"), rate),
                                  "%.2f"))
            lines += ["%18s %s" % ("", words) for words in extras(cell)]
    return lines


def extras(cell):
    """What only some rows have."""
    words = []
    if "tls" in cell:
        words.append(cell["tls"])
    if cell.get("resumed"):
        words.append("%d of %d sessions resumed" % (
            cell["resumed"], cell["handshakes"]))
    if "out" in cell:
        words.append("out: %(connections)d connections, %(handshakes)d "
                     "handshakes, %(resumed)d resumed" % cell["out"])
    if "flushed_first" in cell:
        words.append("%d of as many 250s behind their flush, %d flushes" % (
            cell["flushed_first"], cell["flushes_seen"]))
    if "kib_a_session" in cell:
        words.append("%.1f KiB a session" % cell["kib_a_session"])
    if "beside" in cell:
        words.append("%.3f of the rate without" % cell["beside"])
    return words


def report(command, facts, rows, summary):
    """What a run says of itself in RESULTS."""
    lines = ["Measured by: %s" % command]
    lines += ["    %-13s %s" % item for item in facts.items()]
    lines += [""] + ["    " + line for line in table(rows, summary)] + [""]
    reached = verdicts(rows, summary)
    if reached:
        lines.append("Goals:")
    lines += ["    %-12s %-18s %s" % ("reached" if good else "NOT REACHED",
                                      name, words)
              for name, words, good in reached]
    return lines


def write_section(path, name, lines):
    """Between the two lines that name it, in a file that has more in it; else
    at its end."""
    first, last = "-- begin of %s --" % name, "-- end of %s --" % name
    try:
        with open(path) as file:
            text = file.read().splitlines()
    except FileNotFoundError:
        text = []
    if first not in text or last not in text:
        text += ["", first, last]
    text[text.index(first):text.index(last) + 1] = [first, *lines, last]
    with open(path, "w") as out:
        out.write("\n".join(line.rstrip() for line in text) + "\n")


def cpu_model():
    with open("/proc/cpuinfo") as cpus:
        for line in cpus:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def commit_of(folder):
    done = subprocess.run(["git", "-C", folder, "describe", "--always",
                           "--dirty", "--abbrev=10"], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"


def machine(disk, versions, folder):
    """What kind of machine it is, without its name."""
    facts = {"processors": "%d, %s" % (os.cpu_count(), cpu_model()),
             "kernel": platform.release(),
             "memory": "%d MB" % (os.sysconf("SC_PAGE_SIZE") *
                                  os.sysconf("SC_PHYS_PAGES") >> 20),
             "load average": "%.1f %.1f %.1f" % os.getloadavg(),
             "commit": commit_of(folder),
            "date": time.strftime("%Y-%m-%d")}
    facts.update(disk.describe())
    facts.update(versions)
    return facts
