"""The formats of a report; each module writes a report document as files of one format.

None of them knows whether the document tells of a run or of an audit.
"""
