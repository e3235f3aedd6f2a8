"""Documents without pages, made by hand or by the libraries of their formats: what is in them is known."""

# ruff: noqa: E501
from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import openpyxl
import pptx
from PIL import Image
from pptx.util import Inches

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
DRAWING = (
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STYLES = """
<w:style w:type="paragraph" w:styleId="T"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/><w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Own"><w:name w:val="Our heading"/><w:basedOn w:val="H2"/></w:style>
<w:style w:type="paragraph" w:styleId="C"><w:name w:val="caption"/></w:style>
<w:style w:type="paragraph" w:styleId="Toc"><w:name w:val="toc 1"/></w:style>
"""
NUMBERING = """
<w:abstractNum w:abstractNumId="7">
<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/></w:lvl>
<w:lvl w:ilvl="2"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="(%3)"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="8"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="&#xF0B7;"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="7"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride></w:num>
"""


def paragraph(text: str, style: str = "", numbered: tuple[int, int] | None = None, more: str = "") -> str:
    """A paragraph of a Word document; `numbered` in (list, level)."""
    own = f'<w:pStyle w:val="{style}"/>' * bool(style)
    if numbered:
        own += f'<w:numPr><w:ilvl w:val="{numbered[1]}"/><w:numId w:val="{numbered[0]}"/></w:numPr>'
    return f'<w:p><w:pPr>{own}</w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r>{more}</w:p>'


def word_file(body: str, notes: str = "", picture: bytes = b"", core: str = "") -> bytes:
    """A .docx with this body."""
    parts = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships><Relationship Id="a" Type="{RELATED}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": "<Relationships>"
        f'<Relationship Id="s" Type="{RELATED}/styles" Target="styles.xml"/>'
        f'<Relationship Id="n" Type="{RELATED}/numbering" Target="numbering.xml"/>'
        f'<Relationship Id="f" Type="{RELATED}/footnotes" Target="footnotes.xml"/>'
        f'<Relationship Id="p" Type="{RELATED}/image" Target="media/a.png"/>'
        f'<Relationship Id="l" Type="{RELATED}/image" Target="http://10.0.0.1/x.png" TargetMode="External"/></Relationships>',
        "word/styles.xml": f"<w:styles {WORD}>{STYLES}</w:styles>",
        "word/numbering.xml": f"<w:numbering {WORD}>{NUMBERING}</w:numbering>",
        "word/footnotes.xml": f"<w:footnotes {WORD}>{notes}</w:footnotes>",
        "word/document.xml": f"<w:document {WORD} {DRAWING}><w:body>{body}</w:body></w:document>",
        "docProps/core.xml": f'<c xmlns:dc="http://purl.org/dc/elements/1.1/">{core}</c>',
    }
    return packed(
        {name: text.encode() for name, text in parts.items()} | ({"word/media/a.png": picture} if picture else {})
    )


def packed(members: Mapping[str, bytes]) -> bytes:
    """A zip file with these members."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


def png(side: int = 64) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (side, side), "navy").save(made, "PNG")
    return made.getvalue()


CONTRACT = word_file(
    paragraph("Lease of the mill", "T")
    + paragraph("1. Subject 3", "Toc")
    + paragraph("Subject", "H1")
    + paragraph("The lessor lets the water mill at Kolm to the lessee.", numbered=(1, 1))
    + paragraph("The sluice stays with the lessor.", numbered=(1, 1), more='<w:r><w:footnoteReference w:id="2"/></w:r>')
    + paragraph("Rent", "H1")
    + paragraph("The rent is 4,800 crowns a year.", numbered=(1, 1))
    + paragraph("payable in March;", numbered=(1, 2))
    + paragraph("payable in kind.", numbered=(1, 2))
    + paragraph("Keys", "Own")
    + paragraph("two keys to the gate", numbered=(2, 0))
    + '<w:p><w:r><w:t>Never </w:t></w:r><w:ins><w:r><w:t>sublet</w:t></w:r></w:ins><w:del><w:r><w:delText>resold</w:delText></w:r></w:del></w:p>'
    + paragraph("Table 1. Payments", "C")
    + "<w:tbl><w:tr><w:tc>" + paragraph("Year") + "</w:tc><w:tc>" + paragraph("Crowns") + "</w:tc></w:tr>"
    + "<w:tr><w:tc>" + paragraph("1911") + "</w:tc><w:tc>" + paragraph("4,800") + "</w:tc></w:tr></w:tbl>"
    + '<w:p><w:r><w:drawing><wp:inline><wp:docPr id="1" name="x" descr=""/><a:blip r:embed="p"/></wp:inline></w:drawing></w:r></w:p>'
    + paragraph("Figure 1. The sluice", "C"),
    notes='<w:footnote w:id="2"><w:p><w:r><w:t>As in the survey of 1908.</w:t></w:r></w:p></w:footnote>',
    picture=png(),
    core="<dc:creator>R. Notary</dc:creator>",
)  # fmt: skip

BOOK = packed({
    "mimetype": b"application/epub+zip",
    "META-INF/container.xml": b'<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
    "OEBPS/book.opf": b'<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The Miller</dc:title>'
    b'<dc:creator>M. Author</dc:creator></metadata><manifest><item id="n" href="nav.xhtml" properties="nav"/>'
    b'<item id="a" href="text/a.xhtml"/><item id="b" href="text/b.xhtml"/></manifest>'
    b'<spine><itemref idref="a"/><itemref idref="n"/><itemref idref="b"/></spine></package>',
    "OEBPS/nav.xhtml": b'<html><body><nav><a href="text/a.xhtml">The flood</a><a href="text/b.xhtml">The harvest</a></nav></body></html>',
    "OEBPS/text/a.xhtml": b"<html><body><h1>The flood</h1><p>The dam broke in April.</p><p>Nobody was hurt.</p></body></html>",
    "OEBPS/text/b.xhtml": b"<html><body><p>The harvest came late, in October.</p></body></html>",
})  # fmt: skip

WEB = """<!DOCTYPE html><html><head><meta charset="iso-8859-1"><title>The mill at Kolm</title>
<script>document.write("stolen")</script></head><body><nav>Home News</nav><main><h1>History</h1>
<p>The mill was bought by the café owner Józef Tarn<br>in 1934.</p><ol start="3"><li>He mended the wheel.</li><li>He sold flour.</li></ol>
<table><caption>Table 2. Flour</caption><thead><tr><th>Year</th><th>Tons</th></tr></thead><tr><td>1935</td><td>12</td></tr></table>
<iframe src="http://10.0.0.1/"></iframe><p style="display:none">hidden words</p></main><footer>Imprint</footer></body></html>"""

MAIL = (
    b"From: Ada Brook <ada@example.org>\r\nTo: Ben Field <ben@example.org>\r\nSubject: The wheel\r\n"
    b"Date: Tue, 02 May 2023 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"Dear Ben,\r\n\r\nthe wheel was repaired by the smith on 3 April.\r\n\r\nAda\r\n"
)
NOTES = "---\ntitle: Notes on the race\nauthor: A. Walker\n---\n# Water\n\nThe mill race is 412 metres long.\n\n- It freezes in January.\n"
PLAIN = "The old road\n\nThe toll at the bridge was two\ncoins for a cart.\n\nIt was ended in 1870.\n"
CSV = 'Mill;Wheels;Built\nKolm;3;1911\n\nTarn;5;"1920; again"\n'


def slides() -> bytes:
    made = pptx.Presentation()
    first = made.slides.add_slide(made.slide_layouts[1])
    first.shapes.title.text = "Turbines"
    first.placeholders[1].text = "The turbine gives 40 kilowatts\nIt was built in Graz"
    first.notes_slide.notes_text_frame.text = "Say why Graz."
    made.slides.add_slide(made.slide_layouts[6])
    third = made.slides.add_slide(made.slide_layouts[5])
    third.shapes.title.text = "Costs"
    table = third.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row, cells in enumerate((("Part", "Euro"), ("Shaft", "700"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    data = io.BytesIO()
    made.save(data)
    return data.getvalue()


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Prices"
    for row in (["Prices of flour"], [], ["Sort", "Crowns", "Share"], ["Rye", 31.5, 0.125], ["Wheat", 40, 0.5]):
        sheet.append(row)
    sheet["C4"].number_format = "0.0%"
    other = book.create_sheet("Stock")
    other["B5"] = "seven sacks of oats"
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def write_all(folder: Path) -> dict[str, Path]:
    """A file of each kind in `folder`, by kind; of spreadsheets and texts another one each, as "csv" and "notes"."""
    made = {
        "word": ("lease.docx", CONTRACT), "slides": ("turbines.pptx", slides()), "ebook": ("miller.epub", BOOK),
        "web": ("history.html", WEB.encode()), "email": ("wheel.eml", MAIL), "sheet": ("prices.xlsx", workbook()),
        "csv": ("mills.csv", CSV.encode()), "text": ("road.txt", PLAIN.encode()), "notes": ("race.md", NOTES.encode()),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in made.values():
        (folder / name).write_bytes(data)
    return {kind: folder / name for kind, (name, _) in made.items()}
