"""The REST API: every model a resource, every operation a call. The one package that imports FastAPI, Starlette and uvicorn."""
