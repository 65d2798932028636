"""Files that are written whole, and what is no file."""

import os
import threading

from lsq_sketch.files import write_whole


def test_a_pipe_is_written_to_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_whole(pipe, b"whole")
    reader.join(timeout=10)
    assert found == [b"whole"]
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_link_still_is_one(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.txt").write_bytes(b"old")
    link = tmp_path / "a.txt"
    link.symlink_to(tmp_path / "there" / "a.txt")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "there" / "a.txt").read_bytes() == b"new"
