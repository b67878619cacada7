"""The command line's part of the self-test."""

import torch

from ...machine.device import choice, setup
from ...machine.files import replace
from ...machine.folder import path_of
from ...machine.progress import say
from . import checks, games
from .report import Result, counted, machine, markdown, tried

CHECKS = [*checks.CHECKS, *games.CHECKS]
LEFT_OUT = "--quick leaves it out"


def selftest(options):
    """Run all checks on the device, a line for each; return 1 if any failed, else 0."""
    device, results = setup(0, options.device), []
    choice.threads = torch.get_num_threads()  # from now on: others change the low bits of a run
    about = machine(device)

    def write():
        if options.out:
            text = markdown(about, results, len(CHECKS)).encode()
            replace(path_of(options.out), lambda file: file.write(text), durable=False)

    write()  # before minutes have passed, if it cannot
    for name, check, quick in CHECKS:
        if options.quick and not quick:
            results.append(Result(name, "not tried", remark=LEFT_OUT))
        else:
            results.append(tried(name, check, device))
        say(results[-1])
        write()
    say(counted(results))
    return int(any(result.kind == "FAILED" for result in results))
