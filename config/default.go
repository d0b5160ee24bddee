package config

import "time"

// Default returns what a file that sets nothing would mean, if it could: the
// K3s probe, one VIP without addresses and VRID, and authentication without
// keys. The defaults stand here and nowhere else.
func Default() *Config {
	auth := defaultAuth()
	return &Config{
		Checks: []Check{defaultCheck(CheckK3s)},
		VIPs:   []VIP{defaultVIP()},
		Auth:   &auth,
	}
}

func defaultVIP() VIP {
	return VIP{
		Name:           "k3s",
		Mode:           ModeVRRP,
		Priority:       200,
		AdvertInterval: 250 * time.Millisecond,
		Preempt:        true,
		WhenDown:       LastResort,
		Checksum:       PseudoHeader,
	}
}

func defaultCheck(t CheckType) Check {
	if t == CheckNone {
		return Check{Type: t}
	}
	c := Check{
		Type:     t,
		Interval: 500 * time.Millisecond,
		Timeout:  750 * time.Millisecond,
		Fall:     3,
		Rise:     2,
	}
	switch t {
	case CheckK3s:
		c.URL = "https://127.0.0.1:6443"
		c.DataDir = "/var/lib/rancher/k3s"
		c.Unit = "k3s.service"
		c.ReadyTimeout = 3 * time.Second
	case CheckHTTPS:
		c.ExpectStatus = 200
	}
	return c
}

func defaultBGP() BGP {
	return BGP{DrainDelay: 2 * time.Second}
}

func defaultBGPPeer() BGPPeer {
	return BGPPeer{
		Port: 179, HoldTime: 3 * time.Second, ConnectRetry: time.Second, LocalPreference: 100,
	}
}

func defaultHook() Hook { return Hook{Timeout: 30 * time.Second} }

func defaultAuth() Auth {
	return Auth{Mode: Enforce, AntiReplay: ByTime}
}
