"""What the record in a file says of its network."""
from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lib_trainer.families.sd1 import SD1
from lib_trainer.lora import network as networks
from lib_trainer.lora.adapters.form import Dropout, Form
from lib_trainer.lora.choice import NetworkSpec
from lib_trainer.lora.description import Description, describe
from tests.lora.adapters import trained

PLAIN = NetworkSpec(rank=2, alpha=3.0)
CONV = {"conv_dim": "2", "conv_alpha": "1.0"}


@pytest.mark.parametrize(
    ("spec", "module", "arguments"),
    [
        (PLAIN, "networks.lora", {}),
        (trained.PLAIN, "networks.lora", CONV),
        (replace(PLAIN, dropout=Dropout(0.1, 0.2, 0.3)), "networks.lora",
         {"rank_dropout": "0.2", "module_dropout": "0.3"}),
        (replace(PLAIN, algorithm="lora_fa"), "networks.lora_fa", {}),
        (replace(PLAIN, algorithm="dylora", form=Form(unit=2)), "networks.dylora", {"unit": "2"}),
        (replace(PLAIN, layers="attn-only"), "lycoris.kohya", {"algo": "lora", "preset": "attn-only"}),
        (replace(PLAIN, form=Form(dora=True, dora_on_output=False)), "lycoris.kohya",
         {"algo": "lora", "preset": "attn-mlp", "dora_wd": "True", "wd_on_output": "False"}),
        (replace(PLAIN, form=Form(rs_lora=True)), "lycoris.kohya",
         {"algo": "lora", "preset": "attn-mlp", "rs_lora": "True"}),
        (replace(trained.PLAIN, layers="full", norms=True, form=Form(tucker=True)), "lycoris.kohya",
         {"algo": "lora", "preset": "full", "train_norm": "True", "use_tucker": "True", **CONV}),
        (replace(PLAIN, algorithm="lokr", form=Form(factor=2, full_matrix=True)), "lycoris.kohya",
         {"algo": "lokr", "preset": "attn-mlp", "factor": "2", "full_matrix": "True"}),
        (replace(PLAIN, algorithm="oft", form=Form(constraint=0.01)), "lycoris.kohya",
         {"algo": "diag-oft", "preset": "attn-mlp", "constraint": "0.01"}),
        (replace(PLAIN, algorithm="oft_kohya", text_encoder=False), "networks.oft",
         {"enable_all_linear": "True"}),
        (replace(PLAIN, algorithm="oft_kohya", text_encoder=False, layers="attn-only"), "networks.oft", {}),
    ],
)
def test_a_new_network(spec: NetworkSpec, module: str, arguments: dict[str, str]) -> None:
    network = networks.create(trained.targets(), spec, SD1, seed=0)
    assert describe(network, spec, continued=False) == Description(module, 2, 3.0, arguments)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("lora", Description("networks.lora", 2, 3.0, CONV)),
        ("lora_tucker", Description("lycoris.kohya", 2, 3.0, {"algo": "lora", **CONV})),
        ("dora", Description("lycoris.kohya", 2, 3.0, {"algo": "lora", "dora_wd": "True", **CONV})),
        ("loha", Description("lycoris.kohya", 2, 3.0, {"algo": "loha", **CONV})),
        ("lora_fa", Description("networks.lora", 2, 3.0, CONV)),
        ("oft_kohya", Description("networks.oft", 2, 0.05, {"enable_all_linear": "True", "enable_conv": "True"})),
        ("boft", Description("lycoris.kohya", 16, 8.0, {"algo": "boft"})),
        ("full", Description("lycoris.kohya", 16, 8.0, {"algo": "full"})),
        ("ia3", Description("lycoris.kohya", 16, 8.0, {"algo": "ia3"})),
        ("norms", Description("lycoris.kohya", 2, 3.0, {"algo": "lora", **CONV})),
    ],
)
def test_a_continued_network_is_what_its_file_is(kind: str, expected: Description) -> None:
    """Whatever the settings say of kind, rank and form."""
    found, network = trained.learned(kind)
    again, _ = networks.from_state(found, network.state_dict(torch.float32))
    assert describe(again, NetworkSpec(rank=16, alpha=8.0), continued=True) == expected
