"""A stock grpcio client that plays the story of a token: minted, verified, watched, revoked.

    client.py <folder of the generated code> <host:port> [<file of the authority>]
"""

import sys

sys.path.insert(0, sys.argv[1])

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from m2mgateway.v1 import revocation_service_pb2 as revocation_pb
from m2mgateway.v1 import revocation_service_pb2_grpc as revocation_grpc
from m2mgateway.v1 import token_service_pb2 as token_pb
from m2mgateway.v1 import token_service_pb2_grpc as token_grpc

TIMEOUT_SECONDS = 30


def connect(address, authority_file):
    if authority_file is None:
        return grpc.insecure_channel(address)
    with open(authority_file, "rb") as file:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))


def verify(tokens, secret, verdict):
    answer = tokens.VerifyToken(token_pb.VerifyTokenRequest(token=secret), timeout=TIMEOUT_SECONDS)
    assert answer.verdict == verdict, answer


def refused(tokens):
    """An error comes with its details."""
    try:
        tokens.VerifyToken(token_pb.VerifyTokenRequest(), timeout=TIMEOUT_SECONDS)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        info = error_details_pb2.ErrorInfo()
        details = rpc_status.from_call(error).details
        assert any(detail.Unpack(info) and info.reason == "ARGUMENT_INVALID" for detail in details), error
        return
    raise AssertionError("no token was no error")


def play(channel):
    tokens = token_grpc.TokenServiceStub(channel)
    revocations = revocation_grpc.RevocationServiceStub(channel)
    stream = revocations.WatchRevocations(revocation_pb.WatchRevocationsRequest(), timeout=TIMEOUT_SECONDS)
    next(message for message in stream if message.HasField("snapshot_complete"))

    created = tokens.CreateToken(token_pb.CreateTokenRequest(), timeout=TIMEOUT_SECONDS)
    for _ in range(200):
        verify(tokens, created.secret, token_pb.VERDICT_VALID)
    tokens.RevokeToken(token_pb.RevokeTokenRequest(token_id=created.token.id), timeout=TIMEOUT_SECONDS)
    next(message for message in stream if message.revocation.token_id == created.token.id)
    verify(tokens, created.secret, token_pb.VERDICT_REVOKED)
    stream.cancel()
    refused(tokens)


with connect(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None) as channel:
    play(channel)
print("played")
