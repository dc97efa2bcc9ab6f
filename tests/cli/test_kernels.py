"""The kernels that wait for their notebook: which one a notebook gets, and that none is left."""

import os

import psutil
import pytest
from jupyter_core.utils import run_sync

from helpers.cli import kernels
from helpers.config import ROOT
from helpers.system import progress


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(kernels, "IMPORTED", ("math", "json.tool"))


def process(manager) -> psutil.Process:
    return psutil.Process(manager.provisioner.pid)


def test_a_notebook_gets_the_kernel_that_waits_and_the_next_one_is_started():
    with kernels.Kernels() as waiting:
        waiting.start()
        first = waiting.waiting
        taken = waiting.take()
        second = waiting.waiting
        assert taken is first and second is not first and process(second).is_running()
        assert waiting.take(last=True) is second and waiting.waiting is None
        for manager in (first, second):
            kernels.stop_kernel(manager)


def test_the_kernel_that_still_waits_is_ended_with_the_context():
    with kernels.Kernels() as waiting:
        waiting.start()
        ended = process(waiting.waiting)
    assert not ended.is_running()


def test_a_kernel_that_was_ended_can_be_ended_again():
    manager = kernels.start_kernel()
    ended = process(manager)
    kernels.stop_kernel(manager)
    assert not ended.is_running()
    run_sync(manager.cleanup_resources)()  # as nbclient leaves one that did not answer
    kernels.stop_kernel(manager)


def test_a_kernel_that_died_while_it_waited_is_replaced():
    with kernels.Kernels() as waiting:
        waiting.start()
        dead = waiting.waiting
        process(dead).kill()
        process(dead).wait(10)
        taken = waiting.take(last=True)
        assert taken is not dead and process(taken).is_running()
        kernels.stop_kernel(taken)


def test_a_kernel_has_imported_and_its_namespace_is_clean():
    manager = kernels.start_kernel()
    client = manager.client()
    found = []
    try:
        assert process(manager).cwd() == str(ROOT) and process(manager).environ()[progress.PLAIN] == "1"
        client.start_channels()
        run_sync(client.wait_for_ready)(timeout=60)
        asked = "import sys; print('json.tool' in sys.modules, 'json' in globals(), 'math' in globals())"
        run_sync(client.execute_interactive)(asked, output_hook=found.append, timeout=60)
    finally:
        client.stop_channels()
        kernels.stop_kernel(manager)
    assert "".join(message["content"].get("text", "") for message in found).strip() == "True False False"
    assert os.environ.get(progress.PLAIN) is None
