"""What endpoints ask for."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from search_api.services import Services


def get_services(request: Request) -> Services:
    """The process's connections and models."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


def get_session(services: ServicesDep) -> Iterator[Session]:
    """A session whose transaction is committed before the response is sent."""
    with services.sessions.begin() as session:
        yield session


# `function`: a commit that fails must answer 500, so it happens before the response starts.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]
