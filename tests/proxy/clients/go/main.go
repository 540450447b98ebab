// A session with Toxiproxy's own Go client: what is answered to each step, as a line.
package main

import (
	"fmt"
	"os"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
)

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func refused(what string, err error) {
	if err == nil {
		fmt.Println("failed:", what, "was not refused")
		os.Exit(1)
	}
	fmt.Println(what+":", err)
}

func main() {
	client := toxiproxy.NewClient(os.Args[1])
	upstream := os.Args[2]

	proxy, err := client.CreateProxy("go", "127.0.0.1:0", upstream)
	check(err)
	fmt.Println("made:", proxy.Name, proxy.Upstream == upstream, proxy.Enabled)
	_, err = client.CreateProxy("go", "127.0.0.1:0", upstream)
	refused("again", err)
	_, err = client.Proxy("nobody")
	refused("nobody", err)

	toxic, err := proxy.AddToxic("", "latency", "downstream", 1, toxiproxy.Attributes{"latency": 100})
	check(err)
	fmt.Println("toxic:", toxic.Name, toxic.Type, toxic.Stream, toxic.Toxicity, toxic.Attributes)
	toxic, err = proxy.UpdateToxic("latency_downstream", 0.5, toxiproxy.Attributes{"jitter": 7})
	check(err)
	fmt.Println("updated:", toxic.Toxicity, toxic.Attributes)
	toxic, err = client.AddToxic(&toxiproxy.ToxicOptions{
		ProxyName: "go", ToxicName: "cut", ToxicType: "limit_data", Stream: "upstream", Toxicity: 1,
		Attributes: toxiproxy.Attributes{"bytes": 10},
	})
	check(err)
	fmt.Println("second:", toxic.Name, toxic.Stream)
	_, err = proxy.AddToxic("odd", "nonsense", "upstream", 1, nil)
	refused("odd", err)
	toxics, err := proxy.Toxics()
	check(err)
	for _, one := range toxics {
		fmt.Println("listed:", one.Name)
	}
	check(proxy.RemoveToxic("latency_downstream"))

	check(proxy.Disable())
	proxy, err = client.Proxy("go")
	check(err)
	fmt.Println("disabled:", proxy.Enabled, len(proxy.ActiveToxics))
	check(client.ResetState())
	proxy, err = client.Proxy("go")
	check(err)
	fmt.Println("reset:", proxy.Enabled, len(proxy.ActiveToxics))

	made, err := client.Populate([]toxiproxy.Proxy{
		{Name: "one", Listen: "127.0.0.1:0", Upstream: upstream, Enabled: true},
		{Name: "two", Listen: "127.0.0.1:0", Upstream: upstream, Enabled: true},
	})
	check(err)
	fmt.Println("populated:", len(made))
	all, err := client.Proxies()
	check(err)
	fmt.Println("all:", len(all), all["two"].Enabled)
	for _, one := range all {
		if one.Name != "p" {
			check(one.Delete())
		}
	}
	all, err = client.Proxies()
	check(err)
	fmt.Println("left:", len(all))
}
