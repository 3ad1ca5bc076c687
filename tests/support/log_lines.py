"""Log lines as glog prints them; the golden ones are of a newer glog, which states the year."""

import re

PREFIX = re.compile(r"^([IWEF])(?:\d{4})?\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ ([\w.]+:\d+\] .*)$")


def normalized(text):
    """Lines without times, process ids and speeds; values with four digits."""
    lines = []
    for line in text.splitlines():
        match = PREFIX.match(line)
        line = f"{match[1]} {match[2]}" if match else line
        line = re.sub(r"\([-+.\de]+ iter/s, [-+.\de]+s/", "(… iter/s, …s/", line)
        line = re.sub(r"[-+.\de]+ ms\.", "… ms.", line)
        lines.append(re.sub(r"(= |oss: )([-\d.e]+)", lambda m: m[1] + f"{float(m[2]):.3e}", line))
    return lines
