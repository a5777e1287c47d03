"""One APIRouter a module, each calling one method of the service."""
