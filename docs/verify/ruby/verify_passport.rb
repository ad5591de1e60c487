# frozen_string_literal: true

# Checks the passport of a request. Copy this file into a backend; it needs Ruby 2.7 or newer with its own openssl and json, and no gem.
# The rules, and vectors to try a change with, are in docs/verify.
#
#   VERIFIER = PassportVerifier.new(
#     issuer: "https://passports.example.com",
#     audience: "cell:us01",
#     key_set_url: "https://api.example.com/.well-known/jwks.json"
#   )
#   begin
#     claims = VERIFIER.verify(request.get_header("HTTP_X_PASSPORT"))
#   rescue PassportVerifier::Refused => e
#     logger.info("refused: #{e.message}") # a caller learns nothing but 401
#     head :unauthorized
#   end

require "json"
require "net/http"
require "openssl"
require "uri"

# Keeps a key cache of its own: make one and keep it. Safe to share between threads.
class PassportVerifier
  ALGORITHM = "ES256"
  PASSPORT_TYPE = "passport+jwt"
  # Characters; longer ones are refused before any work is done.
  MAX_LENGTH = 8_192
  # Seconds of clock difference that are tolerated.
  SKEW_S = 5
  # A passport lives at most this long, so one that claims more was not made by the gateway.
  MAX_LIFETIME_S = 60
  # Seconds after which the key set is read again, and that each step of one request may take.
  KEYS_MAX_AGE_S = 300
  KEYS_TIMEOUT_S = 5
  # An unknown key id makes us look again, but not before this has passed since the last look ended: anybody can invent key ids.
  KEYS_MIN_INTERVAL_S = 2
  # Threads that may wait for a read that another makes, with a key id that is not held: when a new key signs at once, a hundred calls a second pass while a read takes 160 ms.
  # No more, as who invents key ids holds up so many of your server's threads, and the one that reads. Lower it where there are few: Puma has five.
  KEYS_MAX_WAITING = 16

  # Why, for your log; a caller learns nothing but 401.
  class Refused < StandardError; end

  # `type` is `txntoken+jwt` for an audience that gets Transaction Tokens. `read_key_set` gives the key set's text; default: HTTP.
  # `now` gives seconds since the epoch, `monotonic` seconds by a clock that nobody sets: the age of the keys goes by that one.
  def initialize(issuer:, audience:, key_set_url:, type: PASSPORT_TYPE, now: -> { Time.now.to_i }, read_key_set: nil,
                 monotonic: -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) })
    @issuer = issuer
    @audience = audience
    @type = type
    @now = now
    @read_key_set = read_key_set || -> { fetch(URI(key_set_url)) }
    @monotonic = monotonic
    @keys = {}
    # When the last read ended, whatever came of it, and when the last one did that gave keys.
    @read_at = @keys_at = -Float::INFINITY
    # Whether the last read took longer than the pause before the next.
    @was_slow = false
    # The read under way, nil while there is none.
    @reading = nil
    # Threads that have begun to wait for it.
    @waiting = 0
    # For those above; never held while the key set is read.
    @mutex = Mutex.new
    @read_ended = ConditionVariable.new
  end

  # The claims of a good passport, a Hash. Raises Refused for anything else.
  def verify(token)
    raise Refused, "no passport" if token.nil?
    # Rack servers join repeated headers with a comma, which no token holds. What else one may join with, no token holds either.
    raise Refused, "more than one passport" if token.include?(",")

    parts = token.split(".", -1)
    raise Refused, "not a JWT" if token.length > MAX_LENGTH || parts.length != 3

    head, body, signature = parts.map { |part| decode(part) }
    header = parse_object(head)
    claims = parse_object(body)
    check_header(header)
    key = find(header["kid"])
    raise Refused, "unknown key" if key.nil?
    raise Refused, "bad signature" unless signed_by?(key, signature, "#{parts[0]}.#{parts[1]}")

    check_claims(claims)
    claims
  end

  private

  def check_header(header)
    raise Refused, "another algorithm" unless header["alg"] == ALGORITHM
    raise Refused, "another type of token" unless header["typ"] == @type
    raise Refused, "no key id" unless text?(header["kid"])
    # These three and nothing else: no `crit`, `jku`, `jwk` or `x5u` is even looked at.
    raise Refused, "unexpected header" unless header.size == 3
  end

  def check_claims(claims)
    now = @now.call
    raise Refused, "another issuer" unless claims["iss"] == @issuer
    raise Refused, "made for another audience" unless claims["aud"] == @audience
    raise Refused, "no subject" unless text?(claims["sub"])

    iat, nbf, exp = claims.values_at("iat", "nbf", "exp")
    raise Refused, "no times" unless [iat, nbf, exp].all?(Integer)
    raise Refused, "expired" if exp <= now - SKEW_S
    raise Refused, "not yet valid" if iat > now + SKEW_S || nbf > now + SKEW_S
    raise Refused, "lives too long" if exp - iat > MAX_LIFETIME_S
  end

  def text?(value)
    value.is_a?(String) && !value.empty?
  end

  # JWS has r and s side by side (RFC 7518 §3.4), OpenSSL wants them in ASN.1.
  def signed_by?(key, signature, signed)
    return false unless signature.bytesize == 64

    halves = [signature[0, 32], signature[32, 32]].map { |half| OpenSSL::ASN1::Integer(OpenSSL::BN.new(half, 2)) }
    key.verify(OpenSSL::Digest.new("SHA256"), OpenSSL::ASN1::Sequence(halves).to_der, signed)
  rescue OpenSSL::PKey::PKeyError
    false
  end

  # One thread reads the key set; the others go by the keys that are held, and never wait for it where theirs is among them.
  def find(kid)
    now = @monotonic.call
    @mutex.synchronize do
      key = @keys[kid]
      if @reading
        return key if key || !may_wait?(now)

        await_read
        return @keys[kid]
      end
      return key if now - @read_at <= (key.nil? ? KEYS_MIN_INTERVAL_S : KEYS_MAX_AGE_S)

      @reading = Object.new
      @waiting = 0
    end
    refresh(now)
    @mutex.synchronize { @keys[kid] }
  end

  # All may where nothing is held, or nothing new enough; but while the key set hangs, threads would wait most of the time.
  def may_wait?(now)
    old = now - @keys_at > KEYS_MAX_AGE_S
    @keys.empty? || (old && !@was_slow) || @waiting < KEYS_MAX_WAITING
  end

  # Not by the clock of the keys' age, which a test may stop.
  def await_read
    @waiting += 1
    under_way = @reading
    clock = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
    end_at = clock.call + KEYS_TIMEOUT_S
    while @reading.equal?(under_way)
      left = end_at - clock.call
      break unless left.positive?

      @read_ended.wait(@mutex, left)
    end
  end

  def refresh(began_at)
    keys = nil
    begin
      keys = import_keys(@read_key_set.call)
    rescue StandardError
      # The keys we have stay good; a backend that has none refuses everything until the gateway answers.
    end
  ensure
    @mutex.synchronize do
      @read_at = @monotonic.call
      @was_slow = @read_at - began_at > KEYS_MIN_INTERVAL_S
      @keys, @keys_at = keys, @read_at unless keys.nil?
      @reading = nil
      @read_ended.broadcast
    end
  end

  # Keys that are not exactly ES256 public keys are left out, and so are those that cannot be read; a kid that occurs twice is trusted in neither.
  def import_keys(text)
    usable = JSON.parse(text).fetch("keys").grep(Hash).select do |jwk|
      jwk["kty"] == "EC" && jwk["crv"] == "P-256" && !jwk.key?("d") && text?(jwk["kid"]) &&
        jwk.fetch("alg", ALGORITHM) == ALGORITHM && jwk.fetch("use", "sig") == "sig"
    end
    usable.group_by { |jwk| jwk["kid"] }.reject { |_, all| all.size > 1 }.transform_values { |(jwk)| import_key(jwk) }.compact
  end

  # By way of DER: since OpenSSL 3 a key cannot be put together from its parts. Nil for what is no point on the curve: one such key is no reason to do without the others.
  def import_key(jwk)
    point = "\x04".b + decode(jwk["x"]) + decode(jwk["y"])
    algorithm = OpenSSL::ASN1::Sequence([OpenSSL::ASN1::ObjectId("id-ecPublicKey"), OpenSSL::ASN1::ObjectId("prime256v1")])
    OpenSSL::PKey::EC.new(OpenSSL::ASN1::Sequence([algorithm, OpenSSL::ASN1::BitString(point)]).to_der)
  rescue StandardError
    nil
  end

  # base64url in the one spelling of its bytes (RFC 4648 §3.5): with others, one token would have many.
  def decode(part)
    raise Refused, "not a JWT" unless part.match?(/\A[A-Za-z0-9_-]+\z/)

    decoded = part.tr("-_", "+/").unpack1("m")
    again = [decoded].pack("m0").tr("+/", "-_").delete("=")
    raise Refused, "not a JWT" unless again == part

    decoded
  end

  def parse_object(bytes)
    text = bytes.dup.force_encoding(Encoding::UTF_8)
    raise Refused, "not a JWT" unless text.valid_encoding?

    value = JSON.parse(text)
    raise Refused, "not a JWT" unless value.is_a?(Hash)

    value
  rescue JSON::ParserError
    raise Refused, "not a JWT"
  end

  def fetch(url)
    # Without the last, a read that had no answer would be made a second time.
    options = { use_ssl: url.scheme == "https", open_timeout: KEYS_TIMEOUT_S, read_timeout: KEYS_TIMEOUT_S, max_retries: 0 }
    response = Net::HTTP.start(url.host, url.port, **options) { |http| http.get(url.request_uri) }
    raise "The key set answered #{response.code}" unless response.is_a?(Net::HTTPOK)

    response.body
  end
end
