// A stock grpc-go client, with generated code, that plays the story of a token: minted, verified, watched, revoked.
//
//	grpc-go-client <host:port> [<file of the authority>]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"m2mgateway/test/interop/pb"
)

func main() {
	if len(os.Args) != 2 && len(os.Args) != 3 {
		log.Fatal("usage: grpc-go-client <host:port> [<file of the authority>]")
	}
	creds := insecure.NewCredentials()
	if len(os.Args) == 3 {
		fromFile, err := credentials.NewClientTLSFromFile(os.Args[2], "")
		check(err)
		creds = fromFile
	}
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(creds))
	check(err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	play(ctx, pb.NewTokenServiceClient(conn), pb.NewRevocationServiceClient(conn))
	fmt.Println("played")
}

func play(ctx context.Context, tokens pb.TokenServiceClient, revocations pb.RevocationServiceClient) {
	watching, leave := context.WithCancel(ctx)
	stream, err := revocations.WatchRevocations(watching, &pb.WatchRevocationsRequest{})
	check(err)
	next(stream, func(m *pb.WatchRevocationsResponse) bool { return m.GetSnapshotComplete() != nil })

	created, err := tokens.CreateToken(ctx, &pb.CreateTokenRequest{})
	check(err)
	for range 200 {
		verify(ctx, tokens, created.Secret, pb.Verdict_VERDICT_VALID)
	}
	_, err = tokens.RevokeToken(ctx, &pb.RevokeTokenRequest{Target: &pb.RevokeTokenRequest_TokenId{TokenId: created.Token.Id}})
	check(err)
	next(stream, func(m *pb.WatchRevocationsResponse) bool { return m.GetRevocation().GetTokenId() == created.Token.Id })
	verify(ctx, tokens, created.Secret, pb.Verdict_VERDICT_REVOKED)

	leave()
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Canceled {
		log.Fatalf("a canceled stream ended with %v", err)
	}
	refused(ctx, tokens)
}

func verify(ctx context.Context, tokens pb.TokenServiceClient, secret string, want pb.Verdict) {
	answer, err := tokens.VerifyToken(ctx, &pb.VerifyTokenRequest{Token: secret})
	check(err)
	if answer.Verdict != want {
		log.Fatalf("%v instead of %v", answer.Verdict, want)
	}
}

// An error comes with its details.
func refused(ctx context.Context, tokens pb.TokenServiceClient) {
	_, err := tokens.VerifyToken(ctx, &pb.VerifyTokenRequest{})
	if status.Code(err) != codes.InvalidArgument {
		log.Fatalf("no token is answered with %v", err)
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Reason == "ARGUMENT_INVALID" {
			return
		}
	}
	log.Fatal("the error has no reason")
}

func next(stream grpc.ServerStreamingClient[pb.WatchRevocationsResponse], wanted func(*pb.WatchRevocationsResponse) bool) {
	for {
		message, err := stream.Recv()
		check(err)
		if wanted(message) {
			return
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
