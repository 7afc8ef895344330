"""An S3 server on a port of its own that refuses what is not signed right, with what is in STATE/objects.

    server.py STATE      writes STATE/env (a shell's variables) when it is ready
"""
import json
import os
import socket
import sys
import threading
import time

STATE = sys.argv[1]
OBJECTS = os.path.join(STATE, 'objects')
FILES = [os.path.join(folder, name) for folder, _, names in os.walk(OBJECTS) for name in names]
# Calls that are taken unsigned: the bucket, what is in it, and the first five of `make_account`.
os.environ['INITIAL_NO_AUTH_ACTION_COUNT'] = str(1 + len(FILES) + 5)

import boto3  # noqa: E402
from moto.server import main  # noqa: E402

REGION = 'eu-central-1'
POLICY = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}]}


def client(service, port, **keys):
    keys = keys or {'aws_access_key_id': 'a', 'aws_secret_access_key': 'b'}
    return boto3.client(service, endpoint_url='http://127.0.0.1:%d' % port, region_name=REGION, **keys)


def make_bucket(port):
    s3 = client('s3', port)
    s3.create_bucket(Bucket='pictures', CreateBucketConfiguration={'LocationConstraint': REGION})
    for path in FILES:
        with open(path, 'rb') as file:
            s3.put_object(Bucket='pictures', Key=os.path.relpath(path, OBJECTS), Body=file.read())


def make_account(port):
    """A user's keys, and those of a session of a role; the last call is signed already."""
    iam, policy = client('iam', port), json.dumps(POLICY)
    iam.create_user(UserName='reader')
    key = iam.create_access_key(UserName='reader')['AccessKey']
    iam.put_user_policy(UserName='reader', PolicyName='all', PolicyDocument=policy)
    role = iam.create_role(RoleName='visitor', AssumeRolePolicyDocument=policy)['Role']
    iam.put_role_policy(RoleName='visitor', PolicyName='all', PolicyDocument=policy)
    keys = {'aws_access_key_id': key['AccessKeyId'], 'aws_secret_access_key': key['SecretAccessKey']}
    session = client('sts', port, **keys).assume_role(RoleArn=role['Arn'], RoleSessionName='visit')['Credentials']
    return keys, session


def set_up(port):
    while socket.socket().connect_ex(('127.0.0.1', port)) != 0:
        time.sleep(0.1)
    make_bucket(port)
    keys, session = make_account(port)
    lines = {'AWS_ENDPOINT_URL_S3': 'http://127.0.0.1:%d' % port, 'AWS_REGION': REGION, 'KEY': keys['aws_access_key_id'],
             'SECRET': keys['aws_secret_access_key'], 'SESSION_KEY': session['AccessKeyId'],
             'SESSION_SECRET': session['SecretAccessKey'], 'SESSION_TOKEN': session['SessionToken']}
    with open(os.path.join(STATE, 'env.new'), 'w') as file:
        file.writelines("export %s='%s'\n" % pair for pair in lines.items())
    os.rename(os.path.join(STATE, 'env.new'), os.path.join(STATE, 'env'))


if __name__ == '__main__':
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        number = free.getsockname()[1]
    threading.Thread(target=set_up, args=(number,), daemon=True).start()
    main(['-H', '127.0.0.1', '-p', str(number)])
