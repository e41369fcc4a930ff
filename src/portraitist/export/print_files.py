"""Files for printers: STL, 3MF and PLY of a `Solid`, in millimeters."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from manifold3d import Manifold
from manifold3d import Mesh as ManifoldMesh

from portraitist.export.provenance import UNSIGNED, Provenance
from portraitist.export.solid import Solid
from portraitist.io.output_file import new_file

FLATNESS_MM = 0.01  # by which triangles of an STL file may miss the surface: a fifth of the finest common layer
STL_HEADER_BYTES = 80
CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
MATERIALS = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
CONTENT_TYPES = f"""<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="{PACKAGE}/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/>
</Types>
"""
RELATIONS = f"""<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="{PACKAGE}/relationships">
<Relationship Target="/3D/3dmodel.model" Id="model" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/>
</Relationships>
"""


def write_stl(path: str | Path, solid: Solid, provenance: Provenance = UNSIGNED) -> None:
    """Write ``solid`` as binary STL: millimeters, z up, no colors. Triangles are joined where the surface stays within
    a hundredth of a millimeter. Raises OutputError when the file cannot be written."""
    mesh = ManifoldMesh(solid.vertices, solid.faces.astype(np.uint32))
    simple = Manifold(mesh).simplify(FLATNESS_MM).to_mesh()
    corners = np.asarray(simple.vert_properties)[:, :3][np.asarray(simple.tri_verts)].astype(np.float32)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    records = np.zeros(len(corners), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    records["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    records["corners"] = corners
    # A header that starts with "solid" would be taken for text.
    header = f"Made by {_say(provenance)}. Units: mm".encode("ascii", "replace")[:STL_HEADER_BYTES]
    with new_file(Path(path)) as temporary:
        count = np.array(len(records), "<u4").tobytes()
        temporary.write_bytes(header.ljust(STL_HEADER_BYTES) + count + records.tobytes())


def write_ply(path: str | Path, solid: Solid, provenance: Provenance = UNSIGNED) -> None:
    """Write ``solid`` as binary PLY: millimeters, z up, sRGB colors of vertices. Raises OutputError when the file
    cannot be written."""
    vertices = np.zeros(len(solid.vertices), [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    vertices["xyz"], vertices["rgb"] = solid.vertices, solid.colors
    faces = np.zeros(len(solid.faces), [("count", "u1"), ("ids", "<i4", 3)])
    faces["count"], faces["ids"] = 3, solid.faces
    facts = [f"comment {name}: {value}" for name, value in provenance.facts().items()]
    lines = ["ply", "format binary_little_endian 1.0", "comment units: mm", *facts]
    lines += [f"element vertex {len(vertices)}", *(f"property float {axis}" for axis in "xyz")]
    lines += [f"property uchar {color}" for color in ("red", "green", "blue")]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    with new_file(Path(path)) as temporary:
        temporary.write_bytes("\n".join(lines).encode() + vertices.tobytes() + faces.tobytes())


def write_3mf(path: str | Path, solid: Solid, provenance: Provenance = UNSIGNED) -> None:
    """Write ``solid`` as 3MF: millimeters, z up, sRGB colors at the corners of triangles (materials extension). Raises
    OutputError when the file cannot be written."""
    colors, color_of = np.unique(solid.colors, axis=0, return_inverse=True)
    color_ids = color_of.reshape(-1)[solid.faces]
    facts = provenance.facts()
    metadata = {"Application": _say(provenance), "Description": "Synthetic head of a photo and an artwork"}
    metadata |= {
        name: str(facts[fact])
        for name, fact in {"Designer": "author", "LicenseTerms": "source_license", "CreationDate": "date"}.items()
        if fact in facts
    }
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<model unit="millimeter" xml:lang="en-US" xmlns="{CORE}" xmlns:m="{MATERIALS}">')
    lines += [f"<metadata name={quoteattr(name)}>{escape(text)}</metadata>" for name, text in metadata.items()]
    lines.append('<resources><m:colorgroup id="1">')
    lines += ['<m:color color="#{:02X}{:02X}{:02X}"/>'.format(*color) for color in colors.tolist()]
    lines.append('</m:colorgroup><object id="2" type="model" pid="1" pindex="0"><mesh><vertices>')
    lines += ['<vertex x="{:.4f}" y="{:.4f}" z="{:.4f}"/>'.format(*point) for point in solid.vertices.tolist()]
    lines.append("</vertices><triangles>")
    triangle = '<triangle v1="{}" v2="{}" v3="{}" pid="1" p1="{}" p2="{}" p3="{}"/>'
    lines += [triangle.format(*ids) for ids in np.concatenate([solid.faces, color_ids], 1).tolist()]
    lines.append('</triangles></mesh></object></resources><build><item objectid="2"/></build></model>')
    files = {"[Content_Types].xml": CONTENT_TYPES, "_rels/.rels": RELATIONS, "3D/3dmodel.model": "\n".join(lines)}
    with new_file(Path(path)) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            package.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)  # with the date 1980: same bytes


def _say(provenance: Provenance) -> str:
    facts = provenance.facts()
    return f"{facts['program']} {facts['version']}"
