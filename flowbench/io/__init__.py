"""Flow, image, video and number files. Every file is written aside and renamed; every error names the file."""

from flowbench.io.atomic import written_aside
from flowbench.io.flow import read_flow, write_flow
from flowbench.io.frames import Frame, FrameSource
from flowbench.io.image import read_image, write_image
from flowbench.io.mask import read_mask
from flowbench.io.records import write_csv, write_json
from flowbench.io.video import open_frames
from flowbench.io.video_writer import write_video

__all__ = [
    "Frame",
    "FrameSource",
    "open_frames",
    "read_flow",
    "read_image",
    "read_mask",
    "write_csv",
    "write_flow",
    "write_image",
    "write_json",
    "write_video",
    "written_aside",
]
