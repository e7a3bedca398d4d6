"""Module: what it finds, names, saves, loads and shows."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg


class Tagger(tg.nn.Module):
    def __init__(self):
        self.embedding = tg.nn.Embedding(7, 3)
        self.lstm = tg.nn.LSTM(3, 4)
        self.scale = tg.nn.Parameter([2.0])
        self.out = tg.nn.Linear(4, 2)

    def forward(self, x):
        states, _ = self.lstm(self.embedding(x))
        return self.out(states) * self.scale


class Tied(tg.nn.Module):
    def __init__(self):
        self.a = tg.nn.Linear(3, 3)
        self.b = self.a
        self.w = self.a.weight


def test_parameters_bear_the_names_of_their_attributes_and_a_module_comes_before_its_children():
    model = Tagger()
    assert [name for name, _ in model.named_parameters()] == [
        "scale",
        "embedding.weight",
        "lstm.weight_ih_l0",
        "lstm.weight_hh_l0",
        "lstm.bias_ih_l0",
        "lstm.bias_hh_l0",
        "out.weight",
        "out.bias",
    ]
    assert model.scale.name == "scale"
    assert model.lstm.weight_hh_l0.name == "weight_hh_l0"
    assert [name for name, _ in model.named_modules()] == ["", "embedding", "lstm", "out"]
    assert list(model.children()) == [model.embedding, model.lstm, model.out]


def test_a_name_given_by_hand_stays():
    layer = tg.nn.Module()
    layer.w = tg.nn.Parameter([1.0], name="omega")
    assert layer.w.name == "omega"


def test_modules_and_parameters_in_lists_and_dicts_are_found_named_and_called_under_their_names():
    class Net(tg.nn.Module):
        def __init__(self):
            self.layers = [tg.nn.Linear(2, 2), tg.nn.Linear(2, 2)]
            self.heads = {"left": tg.nn.Linear(2, 1), "gains": (tg.nn.Parameter([1.0]),)}

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.heads["left"](x) * self.heads["gains"][0]

    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "heads.gains.0",
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "layers.1.bias",
        "heads.left.weight",
        "heads.left.bias",
    ]
    y = net.layers[1](np.ones((1, 2), np.float32))
    assert y.node.path == "layers/1"


def test_recorded_nodes_know_their_module_path_and_step():
    class Net(tg.nn.Module):
        def __init__(self):
            self.encoder = Tagger()

        def forward(self, x):
            return self.encoder(x)

    with tg.unrolled():
        y = Net()(np.zeros((5, 2), np.int64))
    places = set()
    stack = [y.node]
    while stack:
        node = stack.pop()
        if not node.is_leaf:
            places.add((node.path, node.step))
        stack.extend(parent for parent in node.parents if parent is not None)
    layer = "encoder/lstm/layer 0"
    assert {(layer, t) for t in range(5)} <= places
    assert {("encoder", None), ("encoder/embedding", None), (layer, None), ("encoder/out", None)} <= places
    assert {path for path, step in places if step is not None} == {layer}


def test_tied_parameters_count_once_and_are_saved_under_every_name():
    model = Tied()
    assert [name for name, _ in model.named_parameters()] == ["w", "a.bias"]
    assert len(list(model.modules())) == 2
    assert list(model.state_dict()) == ["w", "a.weight", "a.bias", "b.weight", "b.bias"]
    other = Tied()
    other.load_state_dict(model.state_dict())
    assert other.a.weight is other.w
    np.testing.assert_array_equal(other.w.numpy(), model.w.numpy())


def test_a_module_that_owns_its_owner_is_no_trouble():
    outer, inner = tg.nn.Module(), tg.nn.Linear(1, 1)
    outer.inner, inner.owner = inner, outer
    assert [name for name, _ in outer.named_modules()] == ["", "inner"]
    assert sorted(outer.state_dict()) == ["inner.bias", "inner.weight"]


def test_a_plain_tensor_cannot_take_a_parameters_place():
    layer = tg.nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear.weight is a Parameter.*\.weight\.data = array"):
        layer.weight = tg.Tensor(np.zeros((2, 2)))
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    with tg.no_grad():
        layer.weight += 1.0  # in place: the parameter itself comes back
    assert isinstance(layer.weight, tg.nn.Parameter)


def test_parameter_takes_tensors_without_a_graph_only():
    w = tg.Tensor([1.0], requires_grad=True)
    copied = tg.nn.Parameter(w)
    assert copied.requires_grad
    assert not np.shares_memory(copied.numpy(), w.numpy())
    with pytest.raises(TypeError, match="cut its graph"):
        tg.nn.Parameter(w * 2)
    with pytest.raises(TypeError, match="only floats"):
        tg.nn.Parameter([1, 2])
    assert not tg.nn.Parameter([1.0], requires_grad=False).requires_grad


def test_train_eval_and_apply_reach_everything_children_first():
    net = tg.nn.Sequential(tg.nn.Dropout(0.5), tg.nn.Sequential(tg.nn.Dropout(0.5)))
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    seen = []
    assert net.apply(seen.append) is net
    assert seen == [net[0], net[1][0], net[1], net]


def test_zero_grad_forgets_gradients():
    layer = tg.nn.Linear(2, 1)
    layer(np.ones((3, 2), np.float32)).sum().backward()
    assert layer.weight.grad is not None
    layer.zero_grad()
    assert layer.weight.grad is None
    assert layer.bias.grad is None


def test_astype_converts_values_and_gradients_and_nothing_else_is_a_dtype():
    layer = tg.nn.Linear(2, 1)
    layer(np.ones((3, 2), np.float32)).sum().backward()
    before = layer.weight.numpy().copy()
    assert layer.astype(np.float64) is layer
    assert layer.weight.dtype == layer.weight.grad.dtype == np.float64
    np.testing.assert_array_equal(layer.weight.numpy(), before)
    assert layer(np.ones((3, 2))).dtype == np.float64
    with pytest.raises(TypeError, match=r"Linear\.astype: expected a floating-point dtype, got int64"):
        layer.astype(np.int64)


def test_default_dtype_is_that_of_new_parameters():
    tg.set_default_dtype(np.float64)
    assert {p.dtype for p in Tagger().parameters()} == {np.dtype(np.float64)}


def test_state_dict_round_trip_is_exact_and_a_copy():
    model, other = Tagger(), Tagger()
    saved = model.state_dict()
    assert not any(np.shares_memory(saved[name].numpy(), p.numpy()) for name, p in model.named_parameters())
    assert other.load_state_dict(saved) == ([], [])
    x = np.array([[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(model(x).numpy(), other(x).numpy())
    assert not any(np.shares_memory(saved[name].numpy(), p.numpy()) for name, p in other.named_parameters())


def test_load_state_dict_takes_arrays_and_keeps_the_dtype():
    layer = tg.nn.Linear(2, 1)
    layer.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": [3]})
    assert layer.weight.dtype == np.float32
    assert layer.weight.tolist() == [[1.0, 2.0]]
    assert layer.bias.tolist() == [3.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("bias"), r"Linear\.load_state_dict: bias is missing"),
        (lambda s: s.update(extra=0), "extra is unexpected"),
        (lambda s: s.update(bias=np.zeros(2)), r"bias: expected shape \(3,\), got \(2,\)"),
        (lambda s: s.update(bias=np.zeros(3, complex)), "bias: expected real numbers, got complex128"),
        (lambda s: s.update(bias=["a", "b", "c"]), "bias: expected real numbers, got <U1"),
    ],
)
def test_load_state_dict_errors_change_nothing(change, message):
    layer = tg.nn.Linear(2, 3)
    before = layer.state_dict()
    broken = {name: np.full(value.shape, 9.0) for name, value in before.items()}
    change(broken)
    with pytest.raises(ValueError, match=message):
        layer.load_state_dict(broken)
    for name, p in layer.named_parameters():
        np.testing.assert_array_equal(p.numpy(), before[name].numpy())
    with pytest.raises(TypeError, match=r"expected a mapping of names to arrays, or the path of .*, got list"):
        layer.load_state_dict([1])


def test_not_strict_passes_over_names_but_not_over_shapes():
    layer = tg.nn.Linear(2, 3)
    result = layer.load_state_dict({"bias": np.ones(3), "extra": 0}, strict=False)
    assert result.missing_keys == ["weight"]
    assert result.unexpected_keys == ["extra"]
    assert layer.bias.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="bias: expected shape"):
        layer.load_state_dict({"bias": np.ones(2)}, strict=False)


def test_loading_between_forward_and_backward_is_noticed():
    layer = tg.nn.Linear(2, 2)
    x = tg.Tensor(np.ones((1, 2), np.float32), requires_grad=True)
    y = layer(x).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match="modified in place"):
        y.backward()


def test_deep_copy_and_pickle_are_independent_and_equal():
    model = Tied()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.a is twin.b
        assert twin.w is not model.w
        assert [name for name, _ in twin.named_parameters()] == ["w", "a.bias"]
        np.testing.assert_array_equal(twin.a.bias.numpy(), model.a.bias.numpy())
        assert type(twin.w) is tg.nn.Parameter


def test_repr_shows_the_tree():
    model = tg.nn.Sequential(Tagger(), tg.nn.Sequential(np.tanh, tg.nn.Linear(2, 1, bias=False)))
    assert repr(model) == (
        "Sequential(\n"
        "  (0): Tagger(\n"
        "    (embedding): Embedding(7, 3)\n"
        "    (lstm): LSTM(3, 4)\n"
        "    (out): Linear(4, 2)\n"
        "  )\n"
        "  (1): Sequential(\n"
        "    (0): tanh\n"
        "    (1): Linear(2, 1, bias=False)\n"
        "  )\n"
        ")"
    )


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Module has no forward\(\)"):
        tg.nn.Module()(1)


def test_modules_form_no_reference_cycles():
    gc.disable()
    try:
        model = Tagger()
        model(np.zeros((3, 2), np.int64)).sum().backward()
        watched = [weakref.ref(p) for p in model.parameters()]
        del model
        assert [w() for w in watched] == [None] * len(watched)
    finally:
        gc.enable()


class TestSequential:
    def test_indexing(self):
        net = tg.nn.Sequential(tg.nn.Linear(2, 3), np.tanh, tg.nn.Linear(3, 1))
        assert len(net) == 3
        assert net[1] is np.tanh
        assert net[-1] is net[2]
        head = net[:2]
        assert isinstance(head, tg.nn.Sequential)
        assert head[0] is net[0]
        with pytest.raises(IndexError):
            net[3]

    def test_append_goes_on_with_the_names(self):
        net = tg.nn.Sequential()
        assert repr(net) == "Sequential()"
        assert net(3) == 3
        for _ in range(11):
            net.append(tg.nn.Linear(1, 1, bias=False))
        assert list(net.state_dict()) == [f"{i}.weight" for i in range(11)]
        assert list(net) == [net[i] for i in range(11)]

    def test_what_cannot_be_called_is_refused(self):
        with pytest.raises(TypeError, match="expected modules or functions, got 3"):
            tg.nn.Sequential(3)
