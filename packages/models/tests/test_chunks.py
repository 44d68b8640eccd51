import threading

import torch

from marketgpt_models.chunks import available_threads, run_chunks


def test_results_come_in_order_on_one_thread_of_torch_each():
    torch.set_num_threads(2)
    seen = run_chunks(lambda item: (item, torch.get_num_threads()), range(20), parallel=True)
    assert seen == [(item, 1) for item in range(20)]
    assert torch.get_num_threads() == 2


def test_overlapping_calls_restore_the_threads():
    torch.set_num_threads(2)
    inside, leave = threading.Event(), threading.Event()

    def wait(_):
        inside.set()
        assert leave.wait(10)

    outer = threading.Thread(target=lambda: run_chunks(wait, [0], parallel=True))
    outer.start()
    assert inside.wait(10)
    assert available_threads() == 2
    assert run_chunks(lambda item: item, [1, 2], parallel=True) == [1, 2]
    leave.set()
    outer.join()
    assert torch.get_num_threads() == 2


def test_a_failure_comes_out_and_restores_the_threads():
    torch.set_num_threads(2)
    try:
        run_chunks(lambda item: 1 / item, [1, 0], parallel=True)
    except ZeroDivisionError:
        assert torch.get_num_threads() == 2
    else:
        raise AssertionError
