package mail

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"roster/secret"
)

func TestServerAddresses(t *testing.T) {
	t.Parallel()
	from, err := ParseFrom("accounts@example.com")
	must(t, err)
	for address, want := range map[string]string{
		"smtp://mail.example":                             "mail.example:587",
		"smtp://mail.example:25/":                         "mail.example:25",
		"smtps://mail.example":                            "mail.example:465",
		"smtps://me:c4n4ry@mail.example:2465":             "mail.example:2465",
		"smtp://me%40x:c4n4ry%2F@[::1]:25":                "::1:25",
		"smtp://mail.example?starttls=required":           "mail.example:587",
		"smtp://mail.example?starttls=never":              "mail.example:587",
		"":                                                "",
		"mail.example:25":                                 "",
		"http://me:c4n4ry@mail.example":                   "",
		"smtp://me:c4n4ry@":                               "",
		"smtp://me:c4n4ry@mail.example:":                  "",
		"smtp://me:c4n4ry@mail.example:0":                 "",
		"smtp://me:c4n4ry@mail.example:c4n4ry":            "",
		"smtp://me:c4n4ry@mail.example:65536":             "",
		"smtp://me:c4n4ry@mail.example/path":              "",
		"smtp://me:c4n4ry@mail.example#c4n4ry":            "",
		"smtp://c4n4ry@mail.example":                      "",
		"smtp://:c4n4ry@mail.example":                     "",
		"smtp://c4n4ry:@mail.example":                     "",
		"smtp://me:c4n4ry@mail.example?starttls=c4n4ry":   "",
		"smtp://me:c4n4ry@mail.example?tls=c4n4ry":        "",
		"smtps://me:c4n4ry@mail.example?starttls=never":   "",
		"smtps://me:c4n4ry%@mail.example":                 "",
		"smtp://me:c4n4ry@mail.example?starttls=never;c4": "",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			s, err := ParseSMTP(secret.New(address), from)
			switch {
			case want == "" && (err == nil || strings.Contains(err.Error(), "c4n4ry") || strings.Contains(err.Error(), "\n")):
				t.Error("the error is", err)
			case want != "" && (err != nil || s.host+":"+strconv.Itoa(s.port) != want):
				t.Error(s, err)
			}
		})
	}
}

func TestSenderAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"accounts@example.com": "accounts@example.com", "Example Ltd. <accounts@example.com>": "accounts@example.com", "Example <accounts@bücher.example>": "accounts@xn--bcher-kva.example",
		`"Example, Ltd." <accounts@example.com>`: "accounts@example.com", "": "", "Example": "", "a@b, c@d": "", "a@b\r\nBcc: c@d": "", "\"a\x00\" <a@example.com>": "",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			from, err := ParseFrom(text)
			if want == "" && err == nil || want != "" && (err != nil || from.Address != want) {
				t.Error(from, err)
			}
		})
	}
}

// sample returns a mail as the outbox has it.
func sample(t *testing.T, to string) *Mail {
	t.Helper()
	templates, err := ParseTemplates("")
	must(t, err)
	m := Message{Kind: SignInCode, To: to, Code: secret.New("27182818"), Lifetime: 10 * time.Minute, Branding: Branding{Name: "Bücher & Söhne"}}
	must(t, m.check())
	c, err := templates.render(&m)
	must(t, err)
	return &Mail{ID: newID(), Domain: "example.com", At: time.Now(), Kind: m.Kind, To: to, Subject: c.Subject, Text: c.Text, HTML: c.HTML, Code: "27182818"}
}

const user, password = "me@example.com", "c4n4ry/+:@"

// A mail goes by TLS wherever that is to be, and a password by nothing else unless the
// operator wants it.
func TestEncryption(t *testing.T) {
	t.Parallel()
	const signedIn = "smtp://me%40example.com:c4n4ry%2F+%3A%40@"
	for name, test := range map[string]struct {
		offers            string // "", "starttls" or "tls"
		password          bool
		before, after     string
		encrypted, signed bool
		failure           string
	}{
		"nothing is offered":              {"", false, "smtp://", "", false, false, ""},
		"STARTTLS is offered":             {"starttls", false, "smtp://", "", true, false, ""},
		"STARTTLS is required":            {"starttls", false, "smtp://", "?starttls=required", true, false, ""},
		"STARTTLS is required, not there": {"", false, "smtp://", "?starttls=required", false, false, "STARTTLS"},
		"STARTTLS is never used":          {"starttls", false, "smtp://", "?starttls=never", false, false, ""},
		"TLS":                             {"tls", false, "smtps://", "", true, false, ""},
		"TLS, not there":                  {"", false, "smtps://", "", false, false, "no connection"},
		"TLS, unexpected":                 {"tls", false, "smtp://", "", false, false, ""},
		"a password by STARTTLS":          {"starttls", true, signedIn, "", true, true, ""},
		"a password by TLS":               {"tls", true, strings.Replace(signedIn, "smtp", "smtps", 1), "", true, true, ""},
		"a password by neither":           {"", true, signedIn, "?starttls=never", false, true, ""},
		"a password, no password wanted":  {"starttls", false, signedIn, "", false, false, "AUTH"},
		"no password":                     {"starttls", true, "smtp://", "", false, false, "answered 530"},
		"another password":                {"starttls", true, "smtp://me:c4n4ry@", "", false, false, "answered 535"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := openPostOffice(t, func(o *postOffice, s *smtp.Server) {
				if test.offers != "" {
					o.withTLS(s, test.offers == "tls")
				}
				if test.password {
					o.password = password
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), sendTime)
			defer cancel()
			if name == "TLS, unexpected" { // both wait for the other
				ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
				defer cancel()
				test.failure = "longer than"
			}
			err := o.sender(t, test.before, test.after).Send(ctx, sample(t, "ada@example.org"))
			if test.failure != "" {
				if _, refused := errors.AsType[*refusal](err); err == nil || refused || !strings.Contains(err.Error(), test.failure) || strings.Contains(err.Error(), "c4n4ry") {
					t.Error("the error is", err)
				}
				return
			}
			must(t, err)
			all := o.all()
			if len(all) != 1 || all[0].encrypted != test.encrypted || (all[0].user == user) != test.signed {
				t.Errorf("it took %+v", all)
			}
		})
	}
}

// A password is not sent to a server from which somebody on the way has taken STARTTLS.
func TestPasswordNeedsTLS(t *testing.T) {
	t.Parallel()
	// To the library, the usual loopback address is as good as TLS.
	o := openPostOffice(t, func(o *postOffice, _ *smtp.Server) { o.address, o.password = "127.0.0.2:0", password })
	err := o.sender(t, "smtp://me%40example.com:c4n4ry%2F+%3A%40@", "").Send(t.Context(), sample(t, "ada@example.org"))
	wantFailure(t, err, false, "unencrypted connection")
	if len(o.all()) > 0 {
		t.Error("the mail was sent")
	}
}

// What a server refuses for good is given up; everything else is tried again. No error
// repeats what a server says.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change  func(*postOffice, *smtp.Server)
		refused bool
		want    string
	}{
		"the sender, for now":    {func(o *postOffice, _ *smtp.Server) { o.onMail = answering(451) }, false, "answered 451 4.1.1"},
		"the sender":             {func(o *postOffice, _ *smtp.Server) { o.onMail = answering(553) }, true, "answered 553 5.1.1"},
		"the recipient, for now": {func(o *postOffice, _ *smtp.Server) { o.onRecipient = answering(450) }, false, "answered 450 4.1.1"},
		"the recipient":          {func(o *postOffice, _ *smtp.Server) { o.onRecipient = answering(550) }, true, "answered 550 5.1.1"},
		"the text, for now": {func(o *postOffice, _ *smtp.Server) {
			o.onData = func(b []byte) error { return answering(452)(string(b[:20])) }
		}, false, "answered 452 4.1.1"},
		"the text": {func(o *postOffice, _ *smtp.Server) {
			o.onData = func(b []byte) error { return answering(554)(string(b[:20])) }
		}, true, "answered 554 5.1.1"},
		"a password that is missing": {func(o *postOffice, _ *smtp.Server) { o.password = password }, false, "answered 530"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := openPostOffice(t, test.change)
			err := o.sender(t, "smtp://", "").Send(t.Context(), sample(t, "ada@example.org"))
			wantFailure(t, err, test.refused, test.want)
		})
	}
}

func wantFailure(t *testing.T, err error, refused bool, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("the error is %v, want %s", err, want)
	}
	if _, is := errors.AsType[*refusal](err); is != refused {
		t.Errorf("%v: refused is %t", err, is)
	}
	for _, private := range []string{"ada@", "canary", "27182818", "\n"} {
		if strings.Contains(err.Error(), private) {
			t.Errorf("the error repeats %q: %v", private, err)
		}
	}
}

// talk starts a server that does as it is told with each connection.
func talk(t *testing.T, with func(net.Conn)) *postOffice {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			with(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return &postOffice{address: listener.Addr().String()}
}

func read(conn net.Conn) { _, _ = conn.Read(make([]byte, 1<<10)) }

func say(conn net.Conn, text string) { _, _ = conn.Write([]byte(text + "\r\n")) }

// A server that is away, dies or says nothing ends the attempt, and nothing more.
func TestServersThatFail(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		with func(net.Conn)
		want string
	}{
		"it is busy":             {func(c net.Conn) { say(c, "554 canary ada@example.org") }, "answered 554 before"},
		"it is no mail server":   {func(c net.Conn) { say(c, "HTTP/1.1 400 canary") }, "does not speak SMTP"},
		"it hangs up":            {func(net.Conn) {}, "no connection"},
		"it dies after greeting": {func(c net.Conn) { say(c, "220 post.example"); read(c) }, "no connection"},
		"it dies at the recipient": {func(c net.Conn) {
			for _, line := range []string{"220 post.example", "250 post.example", "250 ok"} {
				say(c, line)
				read(c)
			}
		}, "ended while"},
		"it says nothing": {read, "longer than"},
		"it says nothing about the text": {func(c net.Conn) {
			for _, line := range []string{"220 post.example", "250 post.example", "250 ok", "250 ok", "354 go on"} {
				say(c, line)
				read(c)
			}
			for {
				if _, err := c.Read(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := sendTime
			if test.want == "longer than" {
				limit = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			o := talk(t, test.with)
			wantFailure(t, o.sender(t, "smtp://", "?starttls=never").Send(ctx, sample(t, "ada@example.org")), false, test.want)
		})
	}
	t.Run("it is away", func(t *testing.T) {
		t.Parallel()
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		must(t, err)
		o := &postOffice{address: listener.Addr().String()}
		must(t, listener.Close())
		wantFailure(t, o.sender(t, "smtp://", "").Send(t.Context(), sample(t, "ada@example.org")), false, "connection refused")
	})
}

// A mail arrives as it was written, with the headers that it needs, and is the same when
// it is sent again.
func TestDelivery(t *testing.T) {
	t.Parallel()
	for to, envelope := range map[string]string{
		"ada@example.org": "ada@example.org", "ada@bücher.example": "ada@xn--bcher-kva.example", "ada+x&y..z@example.org": `ada+x&y..z@example.org`,
		"åda@example.org": "åda@example.org", strings.Repeat("a", 64) + "@example.org": strings.Repeat("a", 64) + "@example.org",
	} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			o := openPostOffice(t, nil)
			m, s := sample(t, to), o.sender(t, "smtp://", "")
			must(t, s.Send(t.Context(), m))
			must(t, s.Send(t.Context(), m))
			all := o.all()
			if len(all) != 2 || string(all[0].raw) != string(all[1].raw) || all[0].to != envelope || all[0].from != "accounts@example.com" {
				t.Fatalf("it took %+v", all)
			}
			header, parts := all[0].parse(t)
			for name, want := range map[string]string{
				"Message-Id": "<" + m.ID + "@example.com>", "From": `"Example" <accounts@example.com>`, "Auto-Submitted": "auto-generated",
				"Subject": "=?UTF-8?q?Your_code_to_sign_in_to_B=C3=BCcher_&_S=C3=B6hne?=",
			} {
				if got := header.Get(name); got != want {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}
			if parts["text/plain"] != m.Text || strings.TrimSpace(parts["text/html"]) != strings.TrimSpace(m.HTML) {
				t.Errorf("the parts are %q", parts)
			}
			if numbers := longNumber.FindAllString(string(all[0].raw), -1); len(numbers) != 2 {
				t.Errorf("beside the code in both parts there are %q", numbers)
			}
		})
	}
}
