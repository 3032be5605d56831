package pages

import (
	"strings"
	"testing"
)

func TestReturnAddress(t *testing.T) {
	t.Parallel()
	p := &Pages{Options: Options{ReturnOrigins: []string{"https://app.example.com", "http://localhost:3000"}}}
	for address, allowed := range map[string]bool{
		"/": true, "/console": true, "/signin/account?x=1#y": true, "/a//b": true, "/.//evil.example": true, "/a:b@c": true,
		"https://app.example.com": true, "https://app.example.com/": true, "https://app.example.com/a?b=c#d": true, "https://app.example.com?x": true,
		"https://app.example.com#x": true, "http://localhost:3000/x": true, "https://app.example.com/@evil.example": true,

		"": false, "account": false, "//evil.example": false, "///evil.example": false, "/\\evil.example": false, "\\\\evil.example": false, "/\t/evil.example": false,
		"/\n/evil.example": false, " /x": false, "\x00/x": false, "/x\r\nSet-Cookie: a=b": false, "/ä": false, "/\u2028/evil.example": false,
		"https://evil.example": false, "https://app.example.com.evil.example": false, "https://app.example.com@evil.example": false,
		"https://app.example.com:443@evil.example/": false, "https://app.example.com:8443/": false, "https://app.example.com\\@evil.example": false,
		"https://user@app.example.com/": false, "https://app.example.com%2eevil.example": false, "http://app.example.com/": false,
		"HTTPS://APP.EXAMPLE.COM/": false, "https:app.example.com": false, "https:/app.example.com": false, "https:///app.example.com": false,
		"http://localhost:30000/": false, "http://localhost/": false, "javascript:alert(1)": false, "data:text/html,x": false, "//app.example.com/": false,
		"/" + strings.Repeat("a", maxReturnAddress): false,
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			if got := p.returnAddress(address); (got == address && got != "") != allowed || got != "" && got != address {
				t.Errorf("%q", got)
			}
		})
	}
}
