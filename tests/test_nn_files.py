"""Weights in files: what PyTorch's users save arrives here, and what is saved here arrives there."""

import json
import re
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg


def safetensors_file(path, **entries):
    """A file by the format's own description, of (dtype, shape, bytes)."""
    header, data = {}, b""
    for name, (dtype, shape, content) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    words = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(words)) + words + data)
    return path


def save_as_documented(model):
    """Run the lines that ``state_dict`` shows, which write ``model.safetensors``."""
    import safetensors.numpy

    lines = re.search(r"\n\n( {12}arrays = .*?)\n\n", tg.nn.Module.state_dict.__doc__, flags=re.DOTALL)[1]
    exec(textwrap.dedent(lines), {"model": model, "safetensors": safetensors})


@pytest.fixture
def safetensors():
    return pytest.importorskip("safetensors", reason="reads files, which needs the extra training")


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_torchs_weights_arrive(kind, tmp_path, safetensors):
    theirs = getattr(torch.nn, kind)(3, 4, 2, bidirectional=True)
    from safetensors.torch import save_file

    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    for path in (tmp_path / "model.safetensors", str(tmp_path / "model.safetensors")):
        ours = getattr(tg.nn, kind)(3, 4, 2, bidirectional=True)
        assert ours.load_state_dict(path) == ([], [])
        for name, values in theirs.state_dict().items():
            np.testing.assert_array_equal(dict(ours.named_parameters())[name].numpy(), values.numpy())


def test_what_the_documented_lines_save_arrives(tmp_path, monkeypatch, safetensors):
    """Also a weight that does not lie in C order, which safetensors would write as it lies."""
    monkeypatch.chdir(tmp_path)
    model, other = (tg.nn.Seq2Seq(tg.nn.Encoder(7, 3, 4), tg.nn.Decoder(5, 3, 4), end_token=0) for _ in range(2))
    out = model.decoder.out
    out.weight.data = np.asfortranarray(out.weight.data)
    save_as_documented(model)
    other.load_state_dict("model.safetensors")
    for (name, mine), its in zip(model.named_parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(its.numpy(), mine.numpy(), err_msg=name)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_what_the_documented_lines_save_arrives_in_torch(kind, tmp_path, monkeypatch, safetensors):
    theirs = getattr(torch.nn, kind)(3, 4, 2, bidirectional=True)
    from safetensors.torch import load_file

    monkeypatch.chdir(tmp_path)
    model = getattr(tg.nn, kind)(3, 4, 2, bidirectional=True)
    save_as_documented(model)
    theirs.load_state_dict(load_file("model.safetensors"))
    for name, mine in model.named_parameters():
        np.testing.assert_array_equal(theirs.state_dict()[name].numpy(), mine.numpy())


@pytest.mark.parametrize(
    ("dtype", "content", "expected"),
    [
        ("F64", np.array([1 / 3, -2.0], "<f8").tobytes(), [1 / 3, -2.0]),
        ("F32", np.array([0.5, -2.0], "<f4").tobytes(), [0.5, -2.0]),
        ("F16", np.array([0.1, -65504.0], "<f2").tobytes(), [float(np.float16(0.1)), -65504.0]),
        ("BF16", bytes.fromhex("cd3d 80ff"), [0.10009765625, -np.inf]),  # 0x3DCD is 1.6015625 * 2**-4
        ("I64", np.array([3, -2], "<i8").tobytes(), [3.0, -2.0]),
        ("U8", bytes([0, 255]), [0.0, 255.0]),
        ("BOOL", bytes([0, 1]), [0.0, 1.0]),
    ],
)
def test_dtypes(dtype, content, expected, tmp_path, safetensors):
    path = safetensors_file(tmp_path / "x", weight=(dtype, [1, 2], content))
    layer = tg.nn.Linear(2, 1, bias=False).astype(np.float64)
    layer.load_state_dict(path)
    assert layer.weight.dtype == np.float64
    assert layer.weight.tolist() == [expected]


def test_bfloat16_equals_torchs(tmp_path, safetensors):
    values = torch.randn(3, 2).to(torch.bfloat16)
    from safetensors.torch import save_file

    save_file({"weight": values}, tmp_path / "x.safetensors")
    layer = tg.nn.Linear(2, 3, bias=False)
    layer.load_state_dict(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(layer.weight.numpy(), values.float().numpy())


def test_errors(tmp_path, safetensors):
    layer, path = tg.nn.Linear(2, 1, bias=False), tmp_path / "x.safetensors"
    before = layer.weight.tolist()
    with pytest.raises(FileNotFoundError, match=r"x\.safetensors"):
        layer.load_state_dict(path)
    path.write_bytes(b"PK" + bytes(100))
    with pytest.raises(
        ValueError, match=r"Linear\.load_state_dict: .*x\.safetensors' is not a safetensors file.*torch"
    ):
        layer.load_state_dict(path)
    safetensors_file(path, weight=("F8_E4M3", [1, 2], b"ab"))
    with pytest.raises(
        ValueError, match=r"holds numbers that NumPy cannot read: weight \(F8_E4M3\); save them as float32"
    ):
        layer.load_state_dict(path)
    safetensors_file(path, weight=("C64", [1, 2], bytes(16)))
    with pytest.raises(ValueError, match="weight: expected real numbers, got complex64"):
        layer.load_state_dict(path)
    safetensors_file(path, weight=("F32", [2, 1], bytes(8)), bias=("F32", [1], bytes(4)))
    with pytest.raises(ValueError, match=r"bias is unexpected; weight: expected shape \(1, 2\), got \(2, 1\)"):
        layer.load_state_dict(path)
    assert layer.weight.tolist() == before
    safetensors_file(path, weight=("F32", [1, 2], bytes(8)), bias=("F32", [1], bytes(4)))
    assert layer.load_state_dict(path, strict=False).unexpected_keys == ["bias"]
    assert layer.weight.tolist() == [[0.0, 0.0]]


def test_without_the_package_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r'Linear\.load_state_dict: .* pip install "tinygrad-rnn\[training\]"'):
        tg.nn.Linear(2, 1).load_state_dict(tmp_path / "x.safetensors")


def test_the_package_is_loaded_when_a_file_is_read_and_not_before(tmp_path, safetensors):
    path = safetensors_file(tmp_path / "x", weight=("F32", [1, 1], bytes(4)))
    code = f"""
        import sys, tinygrad_rnn as tg
        layer = tg.nn.Linear(1, 1, bias=False)
        layer.load_state_dict(layer.state_dict())
        print("safetensors" in sys.modules)
        layer.load_state_dict({str(path)!r})
        print("safetensors" in sys.modules)
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.split() == ["False", "True"]
