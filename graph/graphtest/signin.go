package graphtest

import (
	"context"
	"log/slog"
	netmail "net/mail"
	"sync"
	"testing"
	"time"

	"roster/credential"
	"roster/mail"
	"roster/secret"
	"roster/signin"
)

// Issuer is the public address of servers that are under test.
const Issuer = "https://accounts.test"

// startSignIn lets people sign in to the server.
func (b *Server) startSignIn(t testing.TB, log *slog.Logger) {
	t.Helper()
	ring, err := secret.ParseKeyring(secret.NewKey().Reveal())
	Must(t, err)
	templates, err := mail.ParseTemplates("")
	Must(t, err)
	b.Mail = &Mailbox{}
	outbox := mail.NewOutbox(b.Database, mail.Options{Keyring: ring, Templates: templates, From: &netmail.Address{Address: "accounts@accounts.test"}, Sender: b.Mail, Log: log})
	b.SignIn = signin.New(signin.Options{
		Database: b.Database, Directory: b.Directory, Passwords: credential.NewPasswords(2, 1000), Outbox: outbox, Issuer: Issuer, Log: log,
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { outbox.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// Mailbox keeps the mails that it is to send.
type Mailbox struct {
	mu    sync.Mutex
	mails []*mail.Mail
}

// Send keeps the mail.
func (m *Mailbox) Send(_ context.Context, one *mail.Mail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, one)
	return nil
}

// To returns the mails to the address so far.
func (m *Mailbox) To(address string) []*mail.Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	var to []*mail.Mail
	for _, one := range m.mails {
		if one.To == address {
			to = append(to, one)
		}
	}
	return to
}

// Last waits for the n-th mail to the address, and returns it.
func (m *Mailbox) Last(t testing.TB, address string, n int) *mail.Mail {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if all := m.To(address); len(all) >= n {
			return all[n-1]
		}
	}
	t.Fatalf("%s got %d mails, not %d", address, len(m.To(address)), n)
	return nil
}
