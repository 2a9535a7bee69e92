# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with one file. None of these leaves the package: `load_media` makes an InputError of them."""

from __future__ import annotations


class MediaError(Exception):
    """The file gives no picture, for the reason in the message. `load_media` puts the file's name before it."""


class DecoderError(MediaError):
    """This decoder gets no picture out of the file; another one may."""


class SeekError(Exception):
    """Seeking cannot be trusted in this file, for the reason in the message: decode it from the start."""


class DamageError(SeekError):
    """The decoder could not decode a packet, or made up parts of a frame."""


def reason(error: BaseException) -> str:
    """What an error of the system, of FFmpeg or of a certificate says, without numbers and names."""
    return getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
