package main

import (
	"cmp"
	"context"
	"net/http"
	netmail "net/mail"
	"strings"

	"roster/mail"
	"roster/secret"
)

// devFrom is the sender of mails that nobody sends.
var devFrom = &netmail.Address{Name: "Roster", Address: "roster@localhost"}

// startMail opens the outbox, and says where its mails go: to the SMTP server, in
// development to a page of this machine, and otherwise nowhere.
func (s *server) startMail(ctx context.Context, adminKey secret.Text) (err error) {
	templates := s.mailTemplates
	if templates == nil {
		if templates, err = mail.ParseTemplates(""); err != nil {
			return err
		}
	}
	o := mail.Options{Keyring: s.keyring, Templates: templates, From: cmp.Or(s.mailFrom, devFrom), Log: s.log}
	switch {
	case s.smtp != nil:
		o.Sender = s.smtp
	case s.dev && isLoopback(s.addr) && !adminKey.Empty():
		mailbox := &mail.Mailbox{}
		o.Sender = mailbox
		s.mailbox = mailbox.Handler(func(next http.Handler) http.Handler { return s.sessions.Wrap(s.onlyWithKey(adminKey, next)) })
		s.log.InfoContext(ctx, "mails are not sent but shown, in the browser that has the session of the playground; ROSTER_SMTP_URL sends them", "path", mail.MailboxPath)
	default:
		s.log.InfoContext(ctx, "mails are not sent, and nobody can sign in by mail: ROSTER_SMTP_URL is not set")
	}
	s.outbox = mail.NewOutbox(s.db, o)
	s.watchMail()
	s.background(ctx, s.outbox.Run)
	return nil
}

// onlyWithKey passes on requests with the key, which the playground's session adds, as
// long as the key works. A proxy before this server makes everybody look like this
// machine, so that the address of a client says nothing.
func (s *server) onlyWithKey(key secret.Text, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		works := key.Equal(secret.New(shown))
		if works {
			_, err := s.directory.Authenticate(r.Context(), key, "")
			works = err == nil
		}
		if !works {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "This needs the session of the playground, or the administrator's API key.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// watchMail adds figures of the outbox to the metrics.
func (s *server) watchMail() {
	for name, counter := range map[string]struct {
		help  string
		value func(mail.Stats) int64
	}{
		"roster_mails_sent_total":     {"Mails that the SMTP server has taken.", func(m mail.Stats) int64 { return m.Sent }},
		"roster_mails_failed_total":   {"Attempts to send a mail that failed, and are repeated.", func(m mail.Stats) int64 { return m.Failed }},
		"roster_mails_given_up_total": {"Mails that were never sent: refused for good, or too late to be of use.", func(m mail.Stats) int64 { return m.GivenUp }},
	} {
		s.metrics.WatchCounter(name, counter.help, func() float64 { return float64(counter.value(s.outbox.Stats())) })
	}
	s.metrics.WatchGauge("roster_mails_waiting", "Mails that wait to be sent, of all servers.", func() float64 { return float64(s.outbox.Stats().Waiting) })
}
