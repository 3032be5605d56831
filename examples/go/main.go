// Command example asks a Roster server whether a user may do something, and changes
// one field of the user. Start the server with its demo business, and then run
//
//	export ROSTER_URL=http://localhost:8080 ROSTER_KEY=$(cat ../../data/admin-key)
//	go generate && go run .
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"example/roster"
)

//go:generate curl -fsSo schema.graphql $ROSTER_URL/schema.graphql -H "Authorization: Bearer $ROSTER_KEY"
//go:generate go tool genqlient

func main() {
	client := graphql.NewClient(os.Getenv("ROSTER_URL")+"/graphql", &http.Client{Transport: withKey{os.Getenv("ROSTER_KEY")}})
	if err := run(context.Background(), client, "ada.lovelace@acme.example"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, client graphql.Client, email string) error {
	answer, err := roster.MayApprove(ctx, client, email, "acme")
	if err != nil {
		return err
	}
	fmt.Println(email, "may approve bills at Acme:", answer.Can)

	// Only the phone number is sent: the name and all else stay.
	phone := "+44 20 7946 0958"
	updated, err := roster.UpdateUser(ctx, client, &roster.UpdateUserInput{User: &roster.UserRef{Email: &email}, Phone: &phone})
	if err != nil {
		return err
	}
	user := updated.UpdateUser.User
	fmt.Println(user.Name, *user.Email, *user.Phone)

	// Errors have codes.
	nobody := "nobody@acme.example"
	_, err = roster.UpdateUser(ctx, client, &roster.UpdateUserInput{User: &roster.UserRef{Email: &nobody}, Phone: &phone})
	if !isCode(err, roster.ErrorCodeNotFound) {
		return fmt.Errorf("an unknown user is not missed: %w", err)
	}
	fmt.Println(nobody, "is unknown:", err)
	return nil
}

// isCode reports whether one of the errors of an answer has that code.
func isCode(err error, code roster.ErrorCode) bool {
	var all gqlerror.List
	errors.As(err, &all)
	for _, one := range all {
		if one.Extensions["code"] == string(code) {
			return true
		}
	}
	return false
}

// withKey sends requests with an API key.
type withKey struct{ key string }

// RoundTrip sends one request.
func (w withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+w.key)
	return http.DefaultTransport.RoundTrip(r)
}
