"""Client of Ferretry's queue.

    from ferretry import Client, Job

    with Client(data='ferret-data') as client:
        client.submit('my-campaign', [Job('local:photos/1.jpg'), Job('local:photos/2.jpg')])
        for record in client.follow('my-campaign'):
            print(record.id, record.text)

`AsyncClient` has the same calls for asyncio. PROTOCOL.md, in the folder above, is what both speak.
"""
from .client import Client, Keys
from .aio import AsyncClient
from .errors import FerretryError, NoAnswer, ProtocolError, Refused
from .job import Job, Options, Region, Task
from .record import Answer, Entity, Failure, Image, Record
from .status import Campaign, Submitted, Worker

__all__ = ['Answer', 'AsyncClient', 'Campaign', 'Client', 'Entity', 'Failure', 'FerretryError', 'Image', 'Job', 'Keys', 'NoAnswer',
           'Options', 'ProtocolError', 'Record', 'Refused', 'Region', 'Submitted', 'Task', 'Worker']
__version__ = '0.1.0'
