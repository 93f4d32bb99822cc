"""Metrics of whole sets of images: FID, KID, and the accuracy of label maps."""

from collections.abc import Callable, Iterator

from pix2pix_tf.metrics import features, label_maps
from pix2pix_tf.options import DOWNLOAD
from pix2pix_tf.runtime.errors import UsageError

FROM_TARGETS = "targets"  # instead of a file: find the palette in the target images


class SetScorer:
    """Measures the sets of output images and target images, as far as requested.

    Build it before other work: a file that cannot be used then ends the run at once.
    """

    def __init__(self, fid_weights: str | None = None, palette: str | None = None):
        """Loads the extractor and the palette.

        Args:
            fid_weights: the value of `--fid_weights`, or None for no FID and KID.
            palette: the value of `--palette`, or None for no label metrics.

        Raises:
            UsageError: a file cannot be used. If weights cannot be downloaded,
                `measure` raises the error.
        """
        self._palette = palette
        if palette not in (None, FROM_TARGETS):
            self._palette = label_maps.read_palette(palette)
        self._extractor = self._download_error = None
        try:
            if fid_weights is not None:
                self._extractor = features.open_extractor(fid_weights)
        except UsageError as error:
            if fid_weights != DOWNLOAD:
                raise
            self._download_error = error

    def measure(
        self, read_images: Callable, count: int
    ) -> Iterator[tuple[dict[str, float | None], dict]]:
        """Yields ({metric: value}, {key of metrics.json: details}) of each measurement.

        Args:
            read_images: maps "outputs" or "targets" to an iterator of these images,
                uint8 [height, width, 3], in the same order. It is called several times.
            count: the number of output images.

        Raises:
            UsageError: the target images have fewer than two colours of label maps, or
                FID and KID have no extractor.
        """
        if self._palette:  # before the features, because it is quick
            yield self._measure_label_maps(read_images)
        if self._download_error:
            raise UsageError(f"no FID and KID: {self._download_error}")
        if self._extractor:
            yield self._measure_features(read_images, count)

    def _measure_features(self, read_images, count):
        metrics = {"fid": None, "kid": None}
        if count > 1:
            a, b = (
                features.extract(self._extractor, read_images(kind))
                for kind in ("outputs", "targets")
            )
            metrics["fid"] = features.frechet_distance(a, b)
            metrics["kid"] = features.kernel_distance(a, b)
        return metrics, {"extractor": self._extractor.name}

    def _measure_label_maps(self, read_images):
        palette = self._palette
        if palette == FROM_TARGETS:
            palette = label_maps.find_palette(read_images("targets"))
        pairs = zip(read_images("outputs"), read_images("targets"), strict=True)
        confusion = sum(label_maps.confuse(*pair, palette) for pair in pairs)
        metrics, classes = label_maps.summarise(confusion, palette)
        return metrics, {"classes": classes}
