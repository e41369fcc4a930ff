"""Every setting of a run: one frozen dataclass per stage, each defined beside its stage."""

from __future__ import annotations

from dataclasses import dataclass, field

from portraitist.geometry.translation import GeometryConfig
from portraitist.reconstruction.fitting import FitConfig
from portraitist.texture.optimization import TextureConfig
from portraitist.unwrapping.projection import UnwrapConfig


@dataclass(frozen=True)
class Config:
    """One frozen dataclass per stage; presets are functions.

    ``subdivide``: give both heads of the result about four times the vertices. ``seed`` drives everything random.
    """

    fit: FitConfig = field(default_factory=FitConfig)
    unwrap: UnwrapConfig = field(default_factory=UnwrapConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)
    texture: TextureConfig = field(default_factory=TextureConfig.standard)
    subdivide: bool = False
    seed: int = 0

    @classmethod
    def draft(cls) -> Config:
        """Quick look: small texture."""
        return cls(unwrap=UnwrapConfig(texture_size=512), texture=TextureConfig.draft())

    @classmethod
    def standard(cls) -> Config:
        """The default."""
        return cls()

    @classmethod
    def best(cls) -> Config:
        """Larger texture, more steps."""
        return cls(unwrap=UnwrapConfig(texture_size=2048), texture=TextureConfig.best())

    @classmethod
    def paper(cls) -> Config:
        """The recipe of Sec. 5.2 as printed."""
        return cls(texture=TextureConfig.paper())
