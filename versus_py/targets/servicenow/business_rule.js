// Sends the tickets of this instance to versus_py. Printed by `@COMMAND@`.
//
// 1. System Properties > All Properties > New (sys_properties.list), for the token:
//      Name     @PROPERTY@
//      Type     string
//      Value    the token: @SETTING@ of the configuration
//      Private  true, and Read roles: admin
// 2. System Definition > Business Rules > New:
//      Name       versus_py
//      Table      @TABLE@
//      Active     true
//      Advanced   true
//      When       async
//      Insert     true
//      Update     true
//      Delete     false
//      Condition  empty, or which tickets are sent, such as: current.priority <= 2
//                 A ticket that is left out once it is known here is followed no further.
// 3. Advanced > Script: all of this text.
//
// Later: print the script again when @SECTION@.routing_field or key_field changes.
(function executeRule(current, previous /* null when async */) {
    'use strict';

    var ENDPOINT = @ENDPOINT@;
    var INSTANCE = @INSTANCE@;
    var TOKEN_PROPERTY = @TOKEN_PROPERTY@;
    var COLUMNS = @COLUMNS@;
    var TIMEOUT_MS = 10000;
    var TRIES = 3;
    var PAUSE_MS = 2000;

    // What is empty comes as null, as undefined, or as one of these words.
    function text(value) {
        if (value === null || value === undefined) {
            return '';
        }
        var found = String(value);
        return found === 'null' || found === 'undefined' ? '' : found;
    }

    // What only adds to the record must not keep it from being sent.
    function attempt(read, otherwise) {
        try {
            return read();
        } catch (error) {
            return otherwise;
        }
    }

    function shownAs(name) {
        return text(current[name].getDisplayValue());
    }

    function columns() {
        var found = {values: {}, display: {}};
        for (var i = 0; i < COLUMNS.length; i++) {
            var name = COLUMNS[i];
            if (!current.isValidField(name)) {
                continue;
            }
            found.values[name] = text(current.getValue(name)) || null;
            var shown = found.values[name] === null ? '' : attempt(shownAs.bind(null, name), '');
            if (shown && shown !== found.values[name]) {
                found.display[name] = shown;
            }
        }
        return found;
    }

    function assignedTo() {
        if (!text(current.getValue('assigned_to'))) {
            return null;
        }
        var user = current.assigned_to;
        return {email: text(user.email), user_name: text(user.user_name), name: text(user.name)};
    }

    // The column holds a user_name and no reference, so that there is nothing to walk to.
    function updatedBy() {
        var name = text(current.getValue('sys_updated_by'));
        var user = new GlideRecord('sys_user');
        if (!name || !user.get('user_name', name)) {
            return {user_name: name};
        }
        return {email: text(user.getValue('email')), user_name: name, name: text(user.getValue('name'))};
    }

    function record() {
        var found = columns();
        var body = found.values;
        body.versus = {
            version: 1,
            instance: INSTANCE,
            operation: attempt(function () { return text(current.operation()); }, ''),
            display: found.display,
            assigned_to: attempt(assignedTo, null),
            updated_by: attempt(updatedBy, null)
        };
        // A variable of a REST message would be replaced in the text of people, too.
        return JSON.stringify(body).replace(/\$\{/g, '\\u0024{');
    }

    // 0: the request has not left this instance. What may have arrived is sent again: the same twice is once there.
    function mayPass(status) {
        return [0, 429, 502, 503, 504].indexOf(status) >= 0;
    }

    // Scoped applications have no sleep.
    function pause() {
        attempt(function () { gs.sleep(PAUSE_MS); }, null);
    }

    function executed(token, body) {
        var request = new sn_ws.RESTMessageV2();
        request.setEndpoint(ENDPOINT);
        request.setHttpMethod('POST');
        request.setRequestHeader('Accept', 'application/json');
        request.setRequestHeader('Content-Type', 'application/json');
        request.setRequestHeader('Authorization', 'Bearer ' + token);
        request.setHttpTimeout(TIMEOUT_MS);
        request.setRequestBody(body);
        return request.execute();
    }

    function send(token) {
        var body = record();
        var response = executed(token, body);
        var status = Number(response.getStatusCode());
        for (var tries = 1; mayPass(status) && tries < TRIES; tries++) {
            pause();
            response = executed(token, body);
            status = Number(response.getStatusCode());
        }
        if (status < 200 || status > 299) {
            throw new Error('status ' + status + ' ' + text(response.getBody()) + text(response.getErrorMessage()));
        }
    }

    var token = text(gs.getProperty(TOKEN_PROPERTY, ''));
    if (!token) {
        gs.error('versus_py: the system property ' + TOKEN_PROPERTY + ' is empty: nothing is sent');
        return;
    }
    try {
        send(token);
    } catch (error) {
        var said = text(error.message || error).split(token).join('[token]').substring(0, 500);
        gs.error('versus_py: ' + text(current.getValue('number')) + ' was not taken: ' + said);
    }
})(current, previous);
