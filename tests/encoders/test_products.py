import pytest
import torch
from bitsandbytes.nn import Int8Params, Linear8bitLt
from torch import nn
from transformers.activations import ACT2FN

from mcp_vlsearch.encoders.qwen3_vl.products import pack, packed

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
    reason="torch has no oneDNN here",
)


class Perceptron(nn.Module):
    """As transformers' vision blocks have it."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.linear_fc1 = nn.Linear(32, 48)
        self.act_fn = activation
        self.linear_fc2 = nn.Linear(48, 32)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.linear_fc2(self.act_fn(self.linear_fc1(states)))
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("rows", [1, 7, 1500])
def test_a_packed_layer_gives_the_same(dtype: torch.dtype, bias: bool, rows: int) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(96, 160, bias=bias).to(dtype)
    states = torch.randn(rows, 96).to(dtype)
    with torch.inference_mode():
        found, expected = packed(linear)(states), linear(states)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "activation", [nn.GELU(), nn.GELU("tanh"), ACT2FN["gelu_pytorch_tanh"]], ids=str
)
def test_the_activation_between_two_layers_becomes_part_of_the_first(activation: nn.Module) -> None:
    torch.manual_seed(0)
    perceptron, states = Perceptron(activation), 3 * torch.randn(9, 32)
    with torch.inference_mode():
        expected = perceptron(states)
        pack(perceptron)
        found = perceptron(states)
    assert isinstance(perceptron.act_fn, nn.Identity)
    torch.testing.assert_close(found, expected)


def test_another_activation_stays_what_it_is() -> None:
    torch.manual_seed(0)
    perceptron, states = Perceptron(nn.ReLU()), torch.randn(9, 32)
    with torch.inference_mode():
        expected = perceptron(states)
        pack(perceptron)
        torch.testing.assert_close(perceptron(states), expected)


def test_layers_of_another_kind_or_device_are_left_alone() -> None:
    class Other(nn.Linear):
        pass

    model = nn.Sequential(Other(8, 8), nn.Linear(8, 8, device="meta"))
    kinds = [type(layer) for layer in model]
    pack(model)
    assert [type(layer) for layer in model] == kinds


def test_packed_weights_take_the_place_of_plain_ones() -> None:
    model = nn.Sequential(nn.Linear(64, 64))
    pack(model)
    assert [name for name, _ in model.named_parameters()] == ["0.bias"]


def in_8_bits(weight: torch.Tensor) -> nn.Linear:
    made = Linear8bitLt(*reversed(weight.shape), bias=False, has_fp16_weights=False, threshold=6.0)
    made.weight = Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    made.to("cpu")
    assert isinstance(made, nn.Linear)
    return made


@pytest.mark.parametrize("rows", [1, 7, 600])
def test_packed_bytes_multiply_as_their_weights_do(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx_vnni": True})
    torch.manual_seed(0)
    plain = in_8_bits(torch.randn(160, 96).bfloat16())
    scales = plain.weight.SCB  # type: ignore[attr-defined]
    weight = plain.weight.double() * scales[:, None] / 127
    states = torch.randn(rows, 96).bfloat16()
    states[::3, 5] = 40  # an outlier, beside which a byte knows the others by three bits only
    states[0, 7:9] = torch.tensor([-90.0, 17.0])
    layer = packed(plain)
    assert layer is not plain
    with torch.inference_mode():
        found = layer(states)
    expected = states.double() @ weight.T
    assert found.dtype == torch.bfloat16
    errors = (found - expected).norm(dim=1) / expected.norm(dim=1)
    assert errors.max() < 0.015


def test_packed_bytes_keep_shapes_and_rows_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx_vnni": True})
    layer = packed(in_8_bits(torch.randn(32, 64).bfloat16()))
    with torch.inference_mode():
        found = layer(torch.zeros(2, 3, 64, dtype=torch.bfloat16))
    assert found.shape == (2, 3, 32)
    assert not found.any()


def test_bytes_stay_where_the_cpu_does_not_multiply_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True})
    plain = in_8_bits(torch.randn(32, 64).bfloat16())
    assert packed(plain) is plain
