# SPDX-License-Identifier: Apache-2.0
"""Medians, ratios and goals out of rounds; as a table for people, as JSON for programs."""

import json
import os
import platform
import statistics

FIELDS = {"iops": "IOPS", "target_us_per_io": "CPU per I/O", "p99": "p99"}
CLIENT_LIMITS = 0.93  # of a CPU that the client takes: then it is what limits


def medians(rounds):
    return {field: statistics.median(row[field] for row in rounds) for field in rounds[0]}


def ratio(rows, goal):
    """Of each round first, since what disturbs a round disturbs both."""
    if not goal.to:
        return statistics.median(row[goal.field] for row in rows[goal.of])
    return statistics.median(a[goal.field] / b[goal.field]
                             for a, b in zip(rows[goal.of], rows[goal.to]) if b[goal.field])


def summary(load, rows):
    """rows: {variant: [measurement of a round, ...]}"""
    result = {"title": load.title, "goals": [], "variants": {
        name: {**medians(rounds), "iops_of_rounds": [row["iops"] for row in rounds]}
        for name, rounds in rows.items()}}
    for goal in load.goals:
        if goal.of in rows and (goal.to in rows or not goal.to):
            value = ratio(rows, goal)
            result["goals"].append({
                "of": goal.of, "to": goal.to, "field": goal.field, "value": value,
                "at_least": goal.at_least, "at_most": goal.at_most, "met": goal.met(value)})
    return result


def number(row, field, width, digits):
    return f"{row[field]:{width}.{digits}f}" if field in row else " " * (width - 1) + "-"


def table(result):
    """Lines of text for one load."""
    canned = result["variants"].get("canned")
    lines = [result["title"],
             f"  {'':34} {'IOPS':>9} {'of':>6} {'MB/s':>7} {'p50':>8} {'p99':>8} {'target':>8} "
             f"{'client':>8} {'client':>6} {'own':>9}",
             f"  {'':34} {'':>9} {'canned':>6} {'':>7} {'us':>8} {'us':>8} {'us/IO':>8} "
             f"{'us/IO':>8} {'CPUs':>6} {'IOPS':>9}"]
    for name, row in result["variants"].items():
        share = f"{row['iops'] / canned['iops']:6.2f}" if canned else "     -"
        limit = " client limits" if row["client_load"] >= CLIENT_LIMITS else ""
        lines.append(f"  {name:34} {row['iops']:9.0f} {share} {row['mb_per_second']:7.0f} "
                     f"{number(row, 'p50', 8, 1)} {number(row, 'p99', 8, 1)} "
                     f"{row['target_us_per_io']:8.2f} {row['client_us_per_io']:8.2f} "
                     f"{row['client_load']:6.2f} {number(row, 'load_iops', 9, 0)}{limit}")
    for goal in result["goals"]:
        bound = f"at least {goal['at_least']:.2f}" if goal["at_least"] is not None \
            else f"at most {goal['at_most']:.2f}"
        lines.append(f"  {'met    ' if goal['met'] else 'NOT MET'} {goal['value']:6.2f} "
                     f"({bound}) {FIELDS[goal['field']]} of {goal['of']}"
                     + (f" to {goal['to']}" if goal["to"] else ""))
    return lines


def machine():
    """Its shape, no more."""
    return {"cpus": os.cpu_count(), "arch": platform.machine(),
            "kernel": platform.release().split("-")[0]}


def write_json(path, results):
    """Adds the loads to a file that an earlier run has begun."""
    whole = {"machine": machine(), "loads": {}}
    if os.path.exists(path):
        with open(path) as file:
            whole["loads"] = json.load(file)["loads"]
    whole["loads"].update(results)
    with open(path, "w") as file:
        json.dump(whole, file, indent=1)
        file.write("\n")
