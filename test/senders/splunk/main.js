// Sends the messages that its standard input says with Splunk's logger, one request each, and prints what was answered.
const { Logger } = require('splunk-logging')

const order = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const logger = new Logger({ url: order.url, token: order.token, maxRetries: 0 })
logger.error = () => {} // what was answered is printed below
const send = (messages) => {
  if (messages.length === 0) return
  logger.send({ message: JSON.parse(messages[0]) }, (err, resp, body) => {
    console.log(JSON.stringify(err ? String(err) : body))
    send(messages.slice(1))
  })
}
send(order.messages)
