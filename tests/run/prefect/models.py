"""What the projects of these tests begin with."""

MODELS = """
    import asyncio
    import os
    import time
    from pathlib import Path

    from pydantic import BaseModel

    from pulpo import datamodel, operation

    @datamodel(key="n")
    class A(BaseModel):
        n: int

    @datamodel(key="n")
    class B(BaseModel):
        n: int

    @datamodel(key="n")
    class C(BaseModel):
        n: int

    @datamodel(key="n")
    class D(BaseModel):
        n: int

    @datamodel(key="n")
    class E(BaseModel):
        n: int

    class Settings(BaseModel):
        factor: int = 1
"""
