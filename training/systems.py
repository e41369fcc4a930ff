"""What is trained and compared: the paper's network, ours, and the rivals of Table 1 with their own losses.

Every system has ``train_step(normal, art, classes)``, which does one step and returns its losses, and
``translate(normal, art)``. Convolutions of the rivals are replaced by the same fully connected blocks (Sec. 6.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from networks import STYLE_SIZE, StyledDecoder, build_judge, kl_to_standard_normal, sample_normal
from portraitist.geometry.translation_network import (
    CONTENT_LAYERS,
    DECODER_LAYERS,
    LandmarkNetwork,
    NetworkSize,
    build_mlp,
)

LEARNING_RATE = 5e-4  # Adam, Sec. 4.1
GAN_BETAS = (0.5, 0.999)


class System(Protocol):
    """A ``torch.nn.Module`` with all its networks, and the optimizers that ``train_step`` uses."""

    optimizers: dict[str, torch.optim.Optimizer]

    def train_step(self, normal: Tensor, art: Tensor, classes: Tensor) -> dict[str, Tensor]: ...

    def translate(self, normal: Tensor, art: Tensor) -> Tensor: ...


def distance_l1(difference: Float[Tensor, "b c"]) -> Tensor:
    """||.||_1 of Eq. 1 and 2: summed over coefficients, mean over the batch."""
    return difference.abs().sum(1).mean()


def distance_l2(difference: Float[Tensor, "b c"]) -> Tensor:
    """||.||_2 of Eq. 5 and 6: norm of the code, mean over the batch."""
    return difference.norm(dim=1).mean()


def adam(*networks: nn.Module, betas: tuple[float, float] = GAN_BETAS) -> torch.optim.Adam:
    parameters: Iterable = (parameter for network in networks for parameter in network.parameters())
    return torch.optim.Adam(parameters, lr=LEARNING_RATE, betas=betas, fused=True)


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def log_loss(judge: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator of Eq. 3 minimizes."""
    of_real, of_fake = judge(torch.cat([real, fake])).split([len(real), len(fake)])
    return (F.softplus(-of_real) + F.softplus(of_fake)).mean()


def square_loss(judge: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Least-squares GAN, which CycleGAN and MUNIT use."""
    of_real, of_fake = judge(torch.cat([real, fake])).split([len(real), len(fake)])
    return ((of_real - 1).square() + of_fake.square()).mean() / 2


@dataclass(frozen=True)
class TranslationWeights:
    """Weights of Eq. 7 as printed, then ours.

    ``anchor``: a normal face in the art branch adds nothing: its content code is E_X's, and G_Y with its style gives
    G_X's face. Eq. 5 alone leaves E_Y^C free to permute faces, as long as G_Y undoes it. ``displacement``: a style
    moves every content as it moved its own, G_Y(c_x, s_y) - G_X(c_x) against l_y - G_X(c_y).
    """

    recon: float = 1.0
    content: float = 0.5
    kl: float = 1.0
    style: float = 1.0
    adversarial: float = 1.0
    classes: float = 1.0
    anchor: float = 0.0
    displacement: float = 0.0


PAPER = TranslationWeights()
OURS = TranslationWeights(content=3.0, kl=0.1, adversarial=3.0, classes=3.0, anchor=0.1, displacement=8.0)


class AutoEncoder(nn.Module):
    """Stage 1: E_X and G_X under Eq. 1."""

    def __init__(self, network: LandmarkNetwork) -> None:
        super().__init__()
        self.network = network
        self.optimizers = {"auto_encoder": adam(network.encode_normal, network.decode_normal, betas=(0.9, 0.999))}

    def train_step(self, normal: Tensor, art: Tensor, classes: Tensor) -> dict[str, Tensor]:
        loss = distance_l1(self.network.decode_normal(self.network.encode_normal(normal)) - normal)
        step(self.optimizers["auto_encoder"], loss)
        return {"recon_x": loss.detach()}


class Translation(nn.Module):
    """Stage 2: E_Y^C, E_Y^S, G_Y, D_Y and CL under Eq. 2-7, the auto-encoder frozen."""

    def __init__(self, network: LandmarkNetwork, classes: int, weights: TranslationWeights) -> None:
        super().__init__()
        self.network, self.weights = network, weights
        self.judge, self.classifier = build_judge(network.size), build_judge(network.size, classes)
        network.encode_normal.requires_grad_(False)
        network.decode_normal.requires_grad_(False)
        self.optimizers = {
            "translation": adam(network.encode_content, network.encode_style, network.decode_art),
            "judge": adam(self.judge),
            "classifier": adam(self.classifier),
        }

    def train_step(self, normal: Tensor, art: Tensor, classes: Tensor) -> dict[str, Tensor]:
        network, weights = self.network, self.weights
        count = len(normal)
        with torch.no_grad():
            content = network.encode_normal(normal)
        mean, log_variance = network.style_distribution(art)
        style, own_content = sample_normal(mean, log_variance), network.encode_content(art)
        both = network.combine(torch.cat([own_content, content]), torch.cat([style, style]))
        rebuilt, translated = both.split([len(art), count])

        step(self.optimizers["judge"], log_loss(self.judge, art, translated.detach()))
        step(self.optimizers["classifier"], F.cross_entropy(self.classifier(art), classes))

        losses = {
            "recon": weights.recon * distance_l1(rebuilt - art),
            "content": weights.content * distance_l2(network.encode_content(translated) - content),
            "style": weights.style * distance_l2(sample_normal(*network.style_distribution(translated)) - style),
            "kl": weights.kl * kl_to_standard_normal(mean, log_variance),
            "adversarial": weights.adversarial * F.softplus(-self.judge(translated)).mean(),
        }
        if weights.classes:
            losses["class"] = weights.classes * F.cross_entropy(self.classifier(translated), classes)
        if weights.displacement:
            with torch.no_grad():
                unmoved = network.decode_normal(content)
            own_move = art - network.decode_normal(own_content)
            losses["displacement"] = weights.displacement * distance_l1(translated - unmoved - own_move)
        if weights.anchor:
            losses["anchor"] = weights.anchor * self._anchor(normal, content)
        step(self.optimizers["translation"], torch.stack(list(losses.values())).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    def _anchor(self, normal: Tensor, content: Tensor) -> Tensor:
        """Normal faces, each with the next one's style, stay as they are."""
        network = self.network
        style = sample_normal(*network.style_distribution(normal.roll(1, 0)))
        with torch.no_grad():
            unmoved = network.decode_normal(content)
        stays = distance_l1(network.combine(content, style) - unmoved)
        return stays + 0.5 * distance_l2(network.encode_content(normal) - content)

    @torch.no_grad()
    def translate(self, normal: Tensor, art: Tensor) -> Tensor:
        return self.network.translate(normal, self.network.style_code(art))


class CycleGAN(nn.Module):
    """Zhu et al. 2017 as CariGANs use it on landmarks: two generators, least-squares GAN, cycle and identity losses."""

    CYCLE, IDENTITY = 10.0, 5.0

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        layers = CONTENT_LAYERS + DECODER_LAYERS  # encoder and decoder of the others in one
        self.to_art = build_mlp(size.coefficients, size.coefficients, layers, size.width, size.residual)
        self.to_normal = build_mlp(size.coefficients, size.coefficients, layers, size.width, size.residual)
        self.judge_normal, self.judge_art = build_judge(size), build_judge(size)
        self.optimizers = {
            "generators": adam(self.to_art, self.to_normal),
            "judges": adam(self.judge_normal, self.judge_art),
        }

    def train_step(self, normal: Tensor, art: Tensor, classes: Tensor) -> dict[str, Tensor]:
        fake_art, same_art = self.to_art(torch.cat([normal, art])).split(len(normal))
        fake_normal, same_normal = self.to_normal(torch.cat([art, normal])).split(len(art))
        judged = square_loss(self.judge_art, art, fake_art.detach())
        step(self.optimizers["judges"], judged + square_loss(self.judge_normal, normal, fake_normal.detach()))
        fooled = (self.judge_art(fake_art) - 1).square().mean() + (self.judge_normal(fake_normal) - 1).square().mean()
        cycle = (self.to_normal(fake_art) - normal).abs().mean() + (self.to_art(fake_normal) - art).abs().mean()
        identity = (same_art - art).abs().mean() + (same_normal - normal).abs().mean()
        losses = {"adversarial": fooled, "cycle": self.CYCLE * cycle, "identity": self.IDENTITY * identity}
        step(self.optimizers["generators"], torch.stack(list(losses.values())).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def translate(self, normal: Tensor, art: Tensor) -> Tensor:
        """The same for every ``art``: a single-modal network."""
        return self.to_art(normal)


class MUNIT(nn.Module):
    """Huang et al. 2018: content shared between domains, style sampled from N(0, 1) and injected by AdaIN."""

    RECON, CODE = 10.0, 1.0

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.content, self.style, self.decode, self.judges = (nn.ModuleDict() for _ in range(4))
        for domain in ("normal", "art"):
            self.content[domain] = build_mlp(size.coefficients, size.content, CONTENT_LAYERS, size.width, size.residual)
            self.style[domain] = build_mlp(size.coefficients, STYLE_SIZE, CONTENT_LAYERS, size.width, size.residual)
            self.decode[domain] = StyledDecoder(size, STYLE_SIZE)
            self.judges[domain] = build_judge(size)
        self.optimizers = {"generators": adam(self.content, self.style, self.decode), "judges": adam(self.judges)}

    def train_step(self, normal: Tensor, art: Tensor, classes: Tensor) -> dict[str, Tensor]:
        faces = {"normal": normal, "art": art}
        contents = {name: self.content[name](face) for name, face in faces.items()}
        styles = {name: self.style[name](face) for name, face in faces.items()}
        drawn = {name: torch.randn_like(styles[name]) for name in faces}
        fakes = {
            "art": self.decode["art"](contents["normal"], drawn["art"]),
            "normal": self.decode["normal"](contents["art"], drawn["normal"]),
        }
        judged = [square_loss(self.judges[name], faces[name], fakes[name].detach()) for name in faces]
        step(self.optimizers["judges"], torch.stack(judged).sum())
        losses = {"adversarial": torch.zeros(()), "recon": torch.zeros(()), "code": torch.zeros(())}
        for name, other in (("normal", "art"), ("art", "normal")):
            rebuilt = self.decode[name](contents[name], styles[name])
            losses["recon"] = losses["recon"] + self.RECON * (rebuilt - faces[name]).abs().mean()
            losses["adversarial"] = losses["adversarial"] + (self.judges[name](fakes[name]) - 1).square().mean()
            of_content = (self.content[name](fakes[name]) - contents[other]).abs().mean()
            of_style = (self.style[name](fakes[name]) - drawn[name]).abs().mean()
            losses["code"] = losses["code"] + self.CODE * (of_content + of_style)
        step(self.optimizers["generators"], torch.stack(list(losses.values())).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def translate(self, normal: Tensor, art: Tensor) -> Tensor:
        return self.decode["art"](self.content["normal"](normal), self.style["art"](art))


class DRIT(nn.Module):
    """Lee et al. 2020 (DRIT++): content adversary, cross-cycle consistency, KL on styles, mode seeking."""

    CYCLE, SELF, CODE, KL, CONTENT, MODE = 10.0, 10.0, 10.0, 0.01, 1.0, 1.0

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        mlp = (size.width, size.residual)
        self.content, self.style, self.decode, self.judges = (nn.ModuleDict() for _ in range(4))
        for domain in ("normal", "art"):
            self.content[domain] = build_mlp(size.coefficients, size.content, CONTENT_LAYERS, *mlp)
            self.style[domain] = build_mlp(size.coefficients, 2 * STYLE_SIZE, CONTENT_LAYERS, *mlp)
            self.decode[domain] = build_mlp(size.content + STYLE_SIZE, size.coefficients, DECODER_LAYERS, *mlp)
            self.judges[domain] = build_judge(size)
        self.content_judge = build_mlp(size.content, 1, 4, *mlp)
        self.optimizers = {
            "generators": adam(self.content, self.style, self.decode),
            "judges": adam(self.judges, self.content_judge),
        }

    def _decode(self, domain: str, content: Tensor, style: Tensor) -> Tensor:
        return self.decode[domain](torch.cat([content, style], dim=1))

    def _style(self, domain: str, face: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.style[domain](face).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def train_step(self, normal: Tensor, art: Tensor, classes: Tensor) -> dict[str, Tensor]:
        faces = {"normal": normal, "art": art}
        contents = {name: self.content[name](face) for name, face in faces.items()}
        gaussians = {name: self._style(name, face) for name, face in faces.items()}
        styles = {name: sample_normal(*gaussian) for name, gaussian in gaussians.items()}
        other = {"normal": "art", "art": "normal"}
        fakes = {name: self._decode(name, contents[other[name]], styles[name]) for name in faces}
        first, second = torch.randn(2, len(normal), STYLE_SIZE)
        drawn = {name: self._decode(name, contents[other[name]], first) for name in faces}

        judged = [log_loss(self.judges[name], faces[name], fakes[name].detach()) for name in faces]
        judged += [log_loss(self.judges[name], faces[name], drawn[name].detach()) for name in faces]
        judged += [log_loss(self.content_judge, contents["normal"].detach(), contents["art"].detach())]
        step(self.optimizers["judges"], torch.stack(judged).sum())

        losses = {name: torch.zeros(()) for name in ("adversarial", "cycle", "self", "code", "kl", "content", "mode")}
        for name in faces:
            for fake in (fakes[name], drawn[name]):
                losses["adversarial"] = losses["adversarial"] + F.softplus(-self.judges[name](fake)).mean()
            # Cross-cycle: codes of both fakes, exchanged again, give the faces back.
            back = self._decode(name, self.content[other[name]](fakes[other[name]]), self._style(name, fakes[name])[0])
            losses["cycle"] = losses["cycle"] + self.CYCLE * (back - faces[name]).abs().mean()
            rebuilt = self._decode(name, contents[name], styles[name])
            losses["self"] = losses["self"] + self.SELF * (rebuilt - faces[name]).abs().mean()
            of_drawn = self._style(name, drawn[name])[0]
            losses["code"] = losses["code"] + self.CODE * (of_drawn - first).abs().mean()
            losses["kl"] = losses["kl"] + self.KL * kl_to_standard_normal(*gaussians[name])
            # The content judge, which says yes to normal faces, must not know.
            logits = self.content_judge(contents[name])
            unsure = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, 0.5))
            losses["content"] = losses["content"] + self.CONTENT * unsure
            apart = (self._decode(name, contents[other[name]], second) - drawn[name]).abs().mean()
            losses["mode"] = losses["mode"] + self.MODE * (second - first).abs().mean() / (apart + 1e-5)
        step(self.optimizers["generators"], torch.stack(list(losses.values())).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def translate(self, normal: Tensor, art: Tensor) -> Tensor:
        return self._decode("art", self.content["normal"](normal), self._style("art", art)[0])


def count_classes(classes: Int[Tensor, "a"]) -> int:
    return int(classes.max()) + 1
