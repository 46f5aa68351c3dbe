"""What the model says without the adapters, whatever was cached while they acted."""
from __future__ import annotations

import torch

from lib_trainer.data.loading import Loader
from lib_trainer.host_model import Conditioning
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.lora.network import NetworkSpec
from lib_trainer.training import step
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.forward_pass import predict, predict_untouched
from lib_trainer.training.micro_batch import Inputs
from tests.training.runs import changing
from tests.training.test_step import SHAPE, sample


def test_the_untouched_model_is_asked_without_the_states_of_a_continued_lora(host: StandaloneHost) -> None:
    noisy, timesteps, samples = torch.ones(1, *SHAPE), torch.tensor([500]), [sample(0)]
    asked = []
    with host.borrow_model() as lease, lease.turn() as model:
        made = changing(model, NetworkSpec(rank=2, alpha=2.0))
        inputs = Inputs(Loader(), text_grad=True, autocast=None, objective=step.DENOISING, without_adapters=made.silent)

        def cached() -> Conditioning:
            asked.append(model)
            return model.encode_captions([one.caption for one in samples])

        with torch.no_grad():
            clean = predict(TrainConfig(), inputs, model, samples, None, noisy, timesteps)
        with made.attached(model.targets()):
            acting = predict(TrainConfig(), inputs, model, samples, None, noisy, timesteps)
            continued = predict_untouched(
                TrainConfig(continue_from="mine"), inputs, model, samples, cached, noisy, timesteps)
            assert not asked
            predict_untouched(TrainConfig(), inputs, model, samples, cached, noisy, timesteps)
    assert len(asked) == 1 and not continued.requires_grad
    torch.testing.assert_close(continued, clean)
    assert not torch.allclose(acting, clean)
