"""The markup that sharekit, openpyxl, LibreOffice and Excel write into the parts of a report.

A program may make anything of what is not listed here, such as hide cells or show others. So a part
that holds an element, an attribute or a value beyond this list is not comparable.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element

from ..wording import quoted

MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_MICROSOFT: Final = "{http://schemas.microsoft.com/office/spreadsheetml/"
#: The vocabularies that programs write, and the prefixes by which they are listed below.
_PREFIXES: Final = {
    MAIN: "",
    "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}": "r:",
    "{http://www.w3.org/XML/1998/namespace}": "xml:",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}": "mc:",
    "{http://schemas.libreoffice.org/}": "loext:",
    f"{_MICROSOFT}2009/9/ac}}": "x14ac:",
    f"{_MICROSOFT}2009/9/main}}": "x14:",
    f"{_MICROSOFT}2010/11/ac}}": "x15ac:",
    f"{_MICROSOFT}2010/11/main}}": "x15:",
    f"{_MICROSOFT}2014/revision}}": "xr:",
    f"{_MICROSOFT}2015/revision2}}": "xr2:",
    f"{_MICROSOFT}2016/revision6}}": "xr6:",
    f"{_MICROSOFT}2016/revision10}}": "xr10:",
    "{http://schemas.microsoft.com/office/spreadsheetml/2018/calcfeatures}": "xcalcf:",
}
#: Kinds of values: a size or zoom is one that can still be read where it must be so.
_KINDS: Final = {
    "no": "0|false",
    "yes": "1|true",
    "bool": "0|1|false|true",
    "zero": "0",
    "int": "-?[0-9]{1,10}",
    "word": r"[\w.+/=-]*",
    "size": r"[0-9]{1,5}(\.[0-9]{1,20})?",
    "font": r"([6-9]|[1-9][0-9]{1,2})(\.[0-9]{1,20})?",
    "zoom": "[2-9][0-9]|[1-4][0-9]{2}",
    "ratio": "[1-9][0-9]{2}|1000",
    "window": "[1-9][0-9]{2,8}",
    "letters": "[5-9]|[1-9][0-9]",
    "indent": "[0-9]",
    "visible": "visible",
    "all": "all",
    "view": "normal|pageBreakPreview",
    "range": r"('[^'\"]+'!|[\w.]+!)?\$?[A-Z]*\$?[0-9]*(:\$?[A-Z]*\$?[0-9]*)?",
    "any": r"[\s\S]*",
}
_COLOR: Final = "word: rgb auto indexed theme tint"
_XF: Final = (
    "int: numFmtId fontId fillId borderId xfId; bool: applyFont applyAlignment applyBorder "
    "applyFill applyNumberFormat applyProtection pivotButton quotePrefix"
)
#: For elements, the attributes that each may have, by the kind of their values.
_LISTED: Final = {
    # anywhere
    "*": "any: xr:uid x14ac:dyDescent mc:Ignorable xml:space",
    "extLst": "",
    "ext": "any: uri",
    # the workbook
    "workbook bookViews sheets definedNames mc:AlternateContent xcalcf:calcFeatures": "",
    "fileVersion": "any: appName lastEdited lowestEdited rupBuild codeName",
    "fileSharing": "bool: readOnlyRecommended",
    "workbookPr": "no: date1904; all: showObjects; word: codeName defaultThemeVersion updateLinks; "
    "bool: backupFile filterPrivacy hidePivotFieldList saveExternalLinkValues checkCompatibility "
    "autoCompressPictures",
    "workbookProtection": "bool: lockStructure lockWindows lockRevision; word: workbookPassword "
    "workbookAlgorithmName workbookHashValue workbookSaltValue workbookSpinCount",
    "workbookView": "visible: visibility; no: minimized; ratio: tabRatio; window: windowWidth "
    "windowHeight; yes: showHorizontalScroll showVerticalScroll; bool: showSheetTabs "
    "autoFilterDateGrouping; int: xWindow yWindow firstSheet activeTab",
    "sheet": "any: name; int: sheetId; word: state r:id",
    "definedName": "any: name; int: localSheetId; bool: hidden; no: function vbProcedure",
    "calcPr": "word: calcId calcMode fullCalcOnLoad iterateCount refMode iterate iterateDelta "
    "calcCompleted calcOnSave concurrentCalc forceFullCalc",
    "loext:extCalcPr": "word: stringRefSyntax",
    "mc:Choice": "word: Requires",
    "x15ac:absPath": "any: url",
    "x15:workbookPr": "bool: chartTrackingRefBase",
    "xcalcf:feature": "any: name",
    "xr:revisionPtr": "any: revIDLastSave documentId xr6:coauthVersionLast xr6:coauthVersionMax "
    "xr10:uidLastSave",
    # a sheet
    "worksheet sheetViews cols sheetData hyperlinks ignoredErrors": "",
    "sheetPr": "no: filterMode; word: codeName; bool: enableFormatConditionsCalculation",
    "tabColor color fgColor bgColor rgbColor": _COLOR,
    "outlinePr": "bool: summaryBelow summaryRight showOutlineSymbols applyStyles",
    "pageSetUpPr": "bool: fitToPage autoPageBreaks",
    "dimension mergeCell": "range: ref",
    "sheetView": "view: view; range: topLeftCell; zoom: zoomScale; zero: workbookViewId; "
    "int: colorId zoomScaleNormal zoomScaleSheetLayoutView zoomScalePageLayoutView; "
    "yes: showRowColHeaders; no: showFormulas rightToLeft windowProtection; "
    "bool: showGridLines showZeros tabSelected showRuler showOutlineSymbols defaultGridColor "
    "showWhiteSpace",
    "pane": "size: xSplit ySplit; range: topLeftCell; word: activePane state",
    "selection": "any: pane activeCell activeCellId sqref",
    "sheetFormatPr": "letters: baseColWidth; size: defaultColWidth defaultRowHeight; "
    "bool: customHeight zeroHeight thickTop thickBottom; zero: outlineLevelRow outlineLevelCol",
    "col": "int: min max style; size: width; zero: outlineLevel; no: collapsed; "
    "bool: customWidth bestFit hidden",
    "row": "int: r s; size: ht; zero: outlineLevel; no: collapsed; any: spans; "
    "bool: customFormat customHeight hidden thickTop thickBot",
    "autoFilter": "range: ref",
    "mergeCells fonts fills borders cellStyleXfs cellXfs cellStyles dxfs numFmts": "int: count",
    "phoneticPr": "word: fontId type alignment",
    "sheetProtection": "word: password algorithmName hashValue saltValue spinCount; bool: sheet "
    "objects scenarios formatCells formatColumns formatRows insertColumns insertRows "
    "insertHyperlinks deleteColumns deleteRows selectLockedCells sort autoFilter pivotTables "
    "selectUnlockedCells",
    "hyperlink": "range: ref; any: location display",
    "printOptions": "bool: headings gridLines gridLinesSet horizontalCentered verticalCentered",
    "pageMargins": "size: left right top bottom header footer",
    "pageSetup": "word: paperSize scale fitToWidth fitToHeight pageOrder orientation blackAndWhite "
    "draft cellComments horizontalDpi verticalDpi copies firstPageNumber useFirstPageNumber "
    "usePrinterDefaults errors r:id",
    "headerFooter": "bool: differentFirst differentOddEven scaleWithDoc alignWithMargins",
    "oddHeader oddFooter evenHeader evenFooter firstHeader firstFooter": "",
    "rowBreaks colBreaks": "int: count manualBreakCount",
    "brk": "int: id min max; bool: man",
    "ignoredError": "any: sqref; bool: numberStoredAsText",
    "drawing": "word: r:id",
    # texts, their runs, and styles
    "sst": "int: count uniqueCount",
    "fonts": "int: x14ac:knownFonts",
    "styleSheet font fill dxf colors indexedColors mruColors rPr": "",
    "numFmt": "int: numFmtId; any: formatCode",
    "sz": "font: val",
    "b i strike outline shadow condense extend": "bool: val",
    "name rFont family charset scheme u vertAlign": "any: val",
    "patternFill": "word: patternType",
    "left right top bottom diagonal start end vertical horizontal": "word: style",
    "border": "bool: diagonalUp diagonalDown outline",
    "xf": _XF,
    "alignment": "word: horizontal vertical; bool: wrapText justifyLastLine; zero: textRotation "
    "readingOrder; indent: indent; no: shrinkToFit",
    "protection": "bool: locked; no: hidden",
    "cellStyle": "any: name; int: xfId builtinId iLevel; bool: customBuiltin hidden",
    "tableStyles": "int: count; word: defaultTableStyle defaultPivotStyle",
    "x14:slicerStyles": "word: defaultSlicerStyle",
    "x15:timelineStyles": "word: defaultTimelineStyle",
}
#: What is named as a difference where it is found, whatever it holds.
_NAMED: Final = frozenset({"filterColumn", "sortState"})


def _listed() -> dict[str, dict[str, re.Pattern[str]]]:
    known: dict[str, dict[str, re.Pattern[str]]] = {}
    for elements, kinds in _LISTED.items():
        patterns = {
            name: re.compile(_KINDS[kind])
            for kind, _, names in (part.strip().partition(": ") for part in kinds.split(";"))
            for name in names.split()
        }
        for element in elements.split():
            known.setdefault(element, {}).update(patterns)
    return known


_KNOWN: Final = _listed()


def oddity(element: Element) -> str:
    """Return the first thing in an element that no known program writes, ``""`` if none.

    >>> from xml.etree.ElementTree import fromstring
    >>> oddity(fromstring(f'<row xmlns="{MAIN[1:-1]}" r="1" hidden="2"/>'))
    'hidden=“2” in an element “row”'
    """
    name = _listed_name(element.tag)
    if name in _NAMED:
        return ""
    if name not in _KNOWN:
        return f"an element {quoted(name)}"
    return odd_attribute(element) or next(filter(None, map(oddity, element)), "")


def odd_attribute(element: Element) -> str:
    """Return the first attribute of an element that no known program writes, ``""`` if none."""
    name = _listed_name(element.tag)
    known = _KNOWN.get(name, {})
    for key, value in element.items():
        attribute = _listed_name(key) if key.startswith("{") else key
        pattern = known.get(attribute) or _KNOWN["*"].get(attribute)
        if pattern is None or not pattern.fullmatch(value):
            return f"{attribute}={quoted(value)} in an element {quoted(name)}"
    return ""


def _listed_name(tag: str) -> str:
    space, brace, local = tag.rpartition("}")
    return f"{_PREFIXES.get(space + brace, space + brace)}{local}"
