"""What a spec can say, as JSON Schema: pydantic makes it from the same classes that `orchestrator.spec` reads it with.

explained.py    the text below each setting, from the source
grids.py        grids of values, in the place of a setting's
forms.py        a key that no class of the reader holds as a whole, as a class
keys.py         each top-level key: its form, what it says, an example
json_schema.py  the schema
"""
